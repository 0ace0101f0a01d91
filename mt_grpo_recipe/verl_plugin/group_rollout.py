"""Rollouts by the group: what verl's agent loop does for every sequence, done once for the n rollouts of a prompt.

For every single sequence verl sets up an agent loop, renders and tokenises the prompt, asks the load balancer, sends
the reward request and stores the result. With short answers that is most of a step. Here a group shares one of each;
only the n calls to the engine stay. What is stored is the same, field for field. Everything but plain single-turn text
(tools, images, a teacher, a priority) is left to verl's own loop.

    actor_rollout_ref.rollout.agent.agent_loop_manager_class=mt_grpo_recipe.verl_plugin.group_rollout.GroupRolloutManager
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any, cast
from uuid import uuid4

import hydra
import numpy as np
import ray
import torch
import transfer_queue as tq
from ray.exceptions import TaskCancelledError
from tensordict import TensorDict
from verl.experimental.agent_loop.agent_loop import (
    AgentLoopMetrics,
    AgentLoopOutput,
    DictConfigWrap,
    ToolListWrap,
    _agent_loop_registry,
)
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.protocol import DataProto
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ, apply_greedy_sampling_params
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl.workers.rollout.llm_server import FullyAsyncLLMServerClient

from mt_grpo_recipe.verl_plugin.failures import ERROR, current_error
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION

logger = logging.getLogger(__name__)
_Worker: Any = cast(Any, AgentLoopWorkerTQ).__ray_actor_class__


def whole_answers(engine: str) -> dict[str, Any]:
    """Sampling parameters that make an engine hand over token ids once, at the end.

    By default vLLM turns every token into text and gives one output per token and rollout; verl reads the ids of the
    last.
    """
    if engine != "vllm":
        return {}
    from vllm.sampling_params import RequestOutputKind

    return {"detokenize": False, "output_kind": RequestOutputKind.FINAL_ONLY}


class GroupRolloutWorker(_Worker):
    """verl's worker with `_run_prompt` by the group."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        loop = hydra.utils.instantiate(
            config=_agent_loop_registry[self.rollout_config.agent.default_agent_loop],
            trainer_config=DictConfigWrap(config=self.config),
            server_manager=self.llm_client,
            tokenizer=self.tokenizer,
            processor=self.processor,
            hf_model_type=self.hf_model_type,
            dataset_cls=self.dataset_cls,
            data_config=DictConfigWrap(self.config.data),
            tools=ToolListWrap(self.tools),
        )
        plain = type(loop) is SingleTurnAgentLoop and self.processor is None and not self.distillation_enabled
        self._loop: Any = loop if plain and self.reward_loop_worker_handles is not None else None
        self._default_loop = self.rollout_config.agent.default_agent_loop
        self._engine_params = whole_answers(self.rollout_config.name)
        self._calls: dict[str, list[Any]] = {}
        """uid -> calls to the engine, for the groups that are generating now."""

    async def abort(self, uids: list[str]) -> None:
        """Stop those of these groups that this worker runs; the engine drops their requests, and they end as failed."""
        for uid in uids:
            for call in self._calls.get(uid, []):
                ray.cancel(call)

    async def _run_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool = False) -> None:
        if self._loop is None or prompt["agent_name"] != self._default_loop or prompt.get("priority"):
            await super()._run_prompt(prompt, sampling_params, trajectory, trace)
            return
        uid, validate = prompt["uid"], trajectory["validate"]
        partition_id = "val" if validate else PARTITION
        tag = {"status": "failure"}
        try:
            await self._run_group(dict(prompt), dict(sampling_params), validate, partition_id)
            tag["status"] = "finished"
        except TaskCancelledError:
            logger.debug("Group %s was aborted", uid)
        except Exception:
            # As in verl, a rollout or a reward that fails ends its group and nothing else; the buffer replaces it.
            logger.exception("Group %s failed", uid)
            tag[ERROR] = current_error()
        await tq.async_kv_put(key=uid, partition_id=partition_id, tag=tag)

    async def _run_agent_loop(
        self,
        sampling_params: dict[str, Any],
        trajectory: dict[str, Any],
        *,
        agent_name: str,
        trace: bool = True,
        **kwargs: Any,
    ) -> Any:
        """One rollout by verl's own loop, which logs an exception but does not record it in the queue."""
        try:
            return await super()._run_agent_loop(
                sampling_params, trajectory, agent_name=agent_name, trace=trace, **kwargs
            )
        except Exception:
            # The group runs until its other rollouts have ended; the queue keeps this beside its status.
            partition_id = "val" if trajectory["validate"] else PARTITION
            await tq.async_kv_put(key=kwargs["uid"], partition_id=partition_id, tag={ERROR: current_error()})
            raise

    async def _run_group(self, prompt: dict, sampling_params: dict, validate: bool, partition_id: str) -> None:
        """Generate, score and store the rollouts of one prompt."""
        rollout = self.config.actor_rollout_ref.rollout
        size = prompt.pop("__rollout_n__", rollout.val_kwargs.n if validate else rollout.n)
        if not prompt.pop("__do_sample__", True) and not validate:
            apply_greedy_sampling_params(sampling_params)
        prompt.pop("agent_name")

        prompt_ids = await self._loop.ct_build_initial_tokens(list(prompt["raw_prompt"]))
        start = time.perf_counter()
        answers = await self._generate(prompt["uid"], prompt_ids, sampling_params, size)
        generated_s = time.perf_counter() - start
        outputs = [self._output(prompt_ids, answer, generated_s) for answer in answers]
        await self._score(outputs, prompt)
        await self._store(outputs, prompt, partition_id)

    async def _generate(self, uid: str, prompt_ids: list[int], params: dict, size: int) -> list[Any]:
        """`size` answers to one prompt."""
        if not isinstance(self.llm_client, FullyAsyncLLMServerClient):
            return await self._generate_on_one_server(uid, prompt_ids, params, size)
        # A weight sync cuts these short, and the client goes on with them where they were.
        calls = [
            self.llm_client.generate(uuid4().hex, prompt_ids=prompt_ids, sampling_params=dict(params))
            for _ in range(size)
        ]
        return await asyncio.gather(*calls)

    async def _generate_on_one_server(self, uid: str, prompt_ids: list[int], params: dict, size: int) -> list[Any]:
        """The answers to one prompt, whose key-value cache is computed once."""
        server_id, server = await self.llm_client._acquire_server(uuid4().hex, prompt_ids=prompt_ids)
        params = params | self._engine_params
        try:
            calls = self._calls[uid] = [
                server.generate.remote(request_id=uuid4().hex, prompt_ids=prompt_ids, sampling_params=dict(params))
                for _ in range(size)
            ]
            return await asyncio.gather(*calls)
        finally:
            self._calls.pop(uid, None)
            self.llm_client._release_server(server_id)

    def _output(self, prompt_ids: list[int], answer: Any, generated_s: float) -> AgentLoopOutput:
        """One rollout in verl's form, cut to the response length."""
        limit = self.rollout_config.response_length
        response_ids = list(answer.token_ids)[:limit]
        step = answer.extra_fields.get("global_steps")
        preempted = -1 if answer.num_preempted is None else answer.num_preempted
        return AgentLoopOutput(
            prompt_ids=prompt_ids,
            response_ids=response_ids,
            response_mask=[1] * len(response_ids),
            response_logprobs=answer.log_probs[:limit] if answer.log_probs else None,
            routed_experts=None if answer.routed_experts is None else answer.routed_experts[: len(prompt_ids) + limit],
            multi_modal_data={},
            num_turns=2,
            metrics=AgentLoopMetrics(generate_sequences=generated_s, num_preempted=preempted),
            extra_fields={
                "min_global_steps": step,
                "max_global_steps": step,
                **answer.extra_fields,
                "turn_scores": [],
                "tool_rewards": [],
            },
        )

    async def _score(self, outputs: list[AgentLoopOutput], prompt: dict) -> None:
        """Have one reward worker judge the group, and write its rewards into the outputs."""
        start = time.perf_counter()
        worker = random.choice(self.reward_loop_worker_handles)
        rewards = await worker.compute_score_batch.remote(_reward_request(outputs, prompt))
        for output, reward in zip(outputs, rewards, strict=True):
            output.reward_score = reward["reward_score"]
            output.extra_fields["reward_extra_info"] = reward["reward_extra_info"]
            output.metrics.compute_score = time.perf_counter() - start

    async def _store(self, outputs: list[AgentLoopOutput], prompt: dict, partition_id: str) -> None:
        """Put the group into the queue, with the keys, fields and tags that verl gives its rollouts."""
        rows = [_row(output, prompt, session) for session, output in enumerate(outputs)]
        await tq.async_kv_batch_put(
            keys=[f"{prompt['uid']}_{session}_0" for session in range(len(rows))],
            fields=list_of_dict_to_tensordict(rows),
            tags=[_tag(row, output) for row, output in zip(rows, outputs, strict=True)],
            partition_id=partition_id,
        )


def _row(output: AgentLoopOutput, prompt: dict, session: int) -> dict[str, Any]:
    """The fields that verl stores of a rollout."""
    row = {**output.as_dict(), **prompt, "session_id": session}
    row.pop("multi_modal_data")
    row["loss_mask"] = row["response_mask"]
    row["input_ids"] = torch.cat([row["prompts"], row["responses"]])
    row["position_ids"] = torch.arange(len(row["input_ids"]))
    row["multi_modal_inputs"] = {}
    return row


def _tag(row: dict[str, Any], output: AgentLoopOutput) -> dict[str, Any]:
    """The tag that verl gives a rollout."""
    return {
        "status": "success",
        "prompt_len": len(row["prompts"]),
        "response_len": len(row["responses"]),
        "seq_len": len(row["input_ids"]),
        "global_steps": row["global_steps"],
        "min_global_steps": output.extra_fields["min_global_steps"],
        "max_global_steps": output.extra_fields["max_global_steps"],
    }


def _reward_request(outputs: list[AgentLoopOutput], prompt: dict) -> DataProto:
    """The group as the reward worker takes it: one row per rollout, responses padded on the right."""
    size = len(outputs)
    responses = torch.nn.utils.rnn.pad_sequence([torch.tensor(o.response_ids) for o in outputs], batch_first=True)
    response_mask = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(len(o.response_ids), dtype=torch.int64) for o in outputs], batch_first=True
    )
    prompts = torch.tensor(outputs[0].prompt_ids).expand(size, -1)
    attention_mask = torch.cat([torch.ones_like(prompts), response_mask], dim=1)
    batch = TensorDict(
        {
            "prompts": prompts,
            "responses": responses,
            "input_ids": torch.cat([prompts, responses], dim=1),
            "attention_mask": attention_mask,
            "position_ids": (attention_mask.cumsum(dim=1) - 1).clamp(min=0),
        },
        batch_size=size,
    )
    return DataProto(batch=batch, non_tensor_batch=_reward_columns(outputs, prompt))


def _reward_columns(outputs: list[AgentLoopOutput], prompt: dict) -> dict[str, np.ndarray]:
    """What a reward function reads beside the tokens: the prompt's fields and facts about each rollout."""
    # A reward function may write into a row's dicts, so every row has its own.
    columns = {
        key: _objects([dict(value) if isinstance(value, dict) else value for _ in outputs])
        for key, value in prompt.items()
    }
    columns["__num_turns__"] = np.array([output.num_turns for output in outputs])
    columns["tool_extra_fields"] = _objects([output.extra_fields for output in outputs])
    columns["prompt_len"] = np.array([len(output.prompt_ids) for output in outputs])
    columns["response_len"] = np.array([len(output.response_ids) for output in outputs])
    return columns


def _objects(values: list) -> np.ndarray:
    """An object array of these values, shape (N,), whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class GroupRolloutManager(AgentLoopManagerTQ):
    """verl's manager over `GroupRolloutWorker`s; its name goes into `rollout.agent.agent_loop_manager_class`."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(GroupRolloutWorker)

    def abort(self, uids: list[str]) -> None:
        """Stop the groups with these uids; returns when the workers have passed it on."""
        ray.get([worker.abort.remote(uids) for worker in self.agent_loop_workers])
