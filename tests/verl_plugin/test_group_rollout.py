"""Rollouts by the group: stored exactly as verl stores them, scored together, failing together."""

import asyncio
from types import SimpleNamespace

import pytest
import ray
import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from ray.exceptions import TaskCancelledError
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ
from verl.workers.rollout.replica import TokenOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams

from mt_grpo_recipe.verl_plugin.failures import ERROR
from mt_grpo_recipe.verl_plugin.group_rollout import GroupRolloutWorker, whole_answers
from mt_grpo_recipe.verl_plugin.reward_workers import RewardWorker

ANSWERS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
"""Tokens of three rollouts; the last is longer than a response may be."""
LIMIT = 5
TRAIN = {"validate": False}


def prompt():
    return {
        "uid": "group",
        "index": 3,
        "global_steps": 2,
        "raw_prompt": [{"role": "user", "content": "make 17"}],
        "data_source": "toy",
        "reward_model": {"ground_truth": "17"},
        "extra_info": {"task": "toy"},
        "agent_name": "single_turn_agent",
    }


class Remote:
    """Stands in for a method of a Ray actor."""

    def __init__(self, function):
        self.remote = function


class Server:
    """An engine that gives the answers one after the other; `broken` fails from the given call on."""

    def __init__(self, broken=None):
        self.calls = []
        self.broken = broken
        self.generate = Remote(self._generate)

    async def _generate(self, request_id, prompt_ids, sampling_params):
        self.calls.append((request_id, prompt_ids, sampling_params))
        number = len(self.calls) - 1
        if self.broken is not None and number >= self.broken:
            raise RuntimeError("the engine is gone")
        tokens = ANSWERS[number]
        logprobs = [-0.5 * (i + 1) for i in range(len(tokens))]
        return TokenOutput(token_ids=tokens, log_probs=logprobs, num_preempted=0, extra_fields={"global_steps": 2})


class Client:
    """A load balancer over one server."""

    def __init__(self, server):
        self.server = server
        self.acquired = self.released = 0

    async def _acquire_server(self, request_id, **_):
        self.acquired += 1
        return "server", self.server

    def _release_server(self, server_id):
        self.released += 1


def score(data_source, solution_str, ground_truth, extra_info):
    extra_info["seen"] = solution_str
    return {"score": float(len(solution_str)), "acc": 0.0, "format": 1.0}


class Rewards:
    """A reward worker over verl's own manager; every decoded token is one letter."""

    def __init__(self):
        self.batches = []
        tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: "x" * len(ids))
        self.manager = NaiveRewardManager(OmegaConf.create({}), tokenizer, score)
        self.worker = object.__new__(RewardWorker)
        self.worker.reward_manager = self.manager
        self.worker.config = OmegaConf.create({"reward": {"custom_reward_function": {"path": "reward.py"}}})
        self.compute_score_batch = Remote(self._compute_score_batch)
        self.compute_score = Remote(self._score)

    async def _score(self, data):
        self.manager.loop = asyncio.get_running_loop()
        return await self.worker.compute_score(data)

    async def _compute_score_batch(self, data):
        self.batches.append(data)
        self.manager.loop = asyncio.get_running_loop()
        return await self.worker.compute_score_batch(data)


def equip(worker, server, rewards):
    worker.config = OmegaConf.create({"actor_rollout_ref": {"rollout": {"n": 3, "val_kwargs": {"n": 2}}}})
    worker.rollout_config = SimpleNamespace(response_length=LIMIT, prompt_length=8)
    worker.processor, worker.mm_processor_kwargs = None, {}
    worker.distillation_enabled = False
    worker.llm_client = Client(server)
    worker.reward_loop_worker_handles = [rewards]
    worker._calls = {}
    worker._engine_params = whole_answers("vllm")
    return worker


@pytest.fixture
def stored(monkeypatch):
    """What went into the queue: rows by key, and the statuses of the groups."""
    rows, statuses, errors = {}, {}, {}

    async def put_batch(keys, fields, tags, partition_id):
        for i, key in enumerate(keys):
            rows[key] = ({name: fields[name][i] for name in fields.keys()}, tags[i], partition_id)  # noqa: SIM118

    async def put(key, partition_id, tag):
        statuses[key], errors[key] = tag["status"], tag.get(ERROR)

    monkeypatch.setattr(tq, "async_kv_batch_put", put_batch)
    monkeypatch.setattr(tq, "async_kv_put", put)
    return SimpleNamespace(rows=rows, statuses=statuses, errors=errors)


async def roll_out(server, rewards, trajectory=TRAIN):
    worker = equip(object.__new__(GroupRolloutWorker), server, rewards)
    await roll_out_with(worker, trajectory)
    return worker


async def roll_out_with(worker, trajectory=TRAIN):
    async def tokenise(messages):
        return [1, 2, 3]

    worker._loop, worker._default_loop = SimpleNamespace(ct_build_initial_tokens=tokenise), "single_turn_agent"
    await worker._run_prompt(prompt(), {"temperature": 1.0}, trajectory)


def plain(value):
    value = getattr(value, "data", value)
    return value.tolist() if isinstance(value, torch.Tensor) else value


def test_rows_are_those_that_verl_stores(stored):
    async def both():
        worker = await roll_out(Server(), Rewards())
        ours = dict(stored.rows)
        stored.rows.clear()
        theirs = equip(object.__new__(AgentLoopWorkerTQ.__ray_actor_class__), Server(), Rewards())
        for session in range(3):
            answer = await theirs.llm_client.server._generate("", [1, 2, 3], {})
            output = worker._output([1, 2, 3], answer, 0.0)
            fields = {key: value for key, value in prompt().items() if key != "agent_name"}
            await theirs._agent_loop_postprocess(output, False, session_id=session, **fields)
        return ours, stored.rows

    ours, theirs = asyncio.run(both())
    assert ours.keys() == theirs.keys() == {"group_0_0", "group_1_0", "group_2_0"}
    for key, (row, tag, partition) in ours.items():
        their_row, their_tag, their_partition = theirs[key]
        assert (tag, partition) == (their_tag, their_partition)
        assert row.keys() == their_row.keys()
        timings = {"metrics"}
        different = {name for name in row.keys() - timings if plain(row[name]) != plain(their_row[name])}
        # verl gives the reward function the row's own dict, which is stored as the function left it.
        assert different <= {"extra_info"}


def test_a_group_is_tokenised_placed_and_scored_once(stored):
    server, rewards = Server(), Rewards()
    worker = asyncio.run(roll_out(server, rewards))
    assert (worker.llm_client.acquired, worker.llm_client.released, len(rewards.batches)) == (1, 1, 1)
    assert len({request_id for request_id, _, _ in server.calls}) == 3
    assert all(params == {"temperature": 1.0} | whole_answers("vllm") for _, _, params in server.calls)
    assert stored.statuses == {"group": "finished"}


def test_vllm_takes_the_parameters_that_ask_for_whole_answers_and_other_engines_get_none():
    params = SamplingParams(temperature=1.0, **whole_answers("vllm"))
    assert (params.detokenize, params.output_kind) == (False, RequestOutputKind.FINAL_ONLY)
    assert whole_answers("sglang") == {}


def test_every_rollout_has_the_reward_of_its_own_text(stored):
    asyncio.run(roll_out(Server(), Rewards()))
    rewards = {key: row["rm_scores"].tolist() for key, (row, _, _) in stored.rows.items()}
    assert rewards == {"group_0_0": [0.0, 0.0, 3.0], "group_1_0": [1.0], "group_2_0": [0.0, 0.0, 0.0, 0.0, 5.0]}


def test_a_reward_function_cannot_write_into_the_stored_rows(stored):
    asyncio.run(roll_out(Server(), Rewards()))
    assert all(plain(row["extra_info"]) == {"task": "toy"} for row, _, _ in stored.rows.values())


def test_validation_takes_its_own_number_of_rollouts_and_partition(stored):
    asyncio.run(roll_out(Server(), Rewards(), trajectory={"validate": True}))
    assert {partition for _, _, partition in stored.rows.values()} == {"val"}
    assert len(stored.rows) == 2


@pytest.mark.parametrize("broken", [0, 2])
def test_a_rollout_that_fails_fails_its_group_and_stores_nothing(stored, caplog, broken):
    worker = asyncio.run(roll_out(Server(broken), Rewards()))
    assert stored.statuses == {"group": "failure"} and not stored.rows
    assert worker.llm_client.released == 1
    assert "the engine is gone" in caplog.text


def test_a_reward_that_raises_fails_its_group(stored, caplog):
    class Raising(Rewards):
        async def _compute_score_batch(self, data):
            raise ValueError("no reward today")

    asyncio.run(roll_out(Server(), Raising()))
    assert stored.statuses == {"group": "failure"} and not stored.rows
    assert "no reward today" in caplog.text
    assert stored.errors["group"].startswith("Traceback")
    assert stored.errors["group"].endswith("ValueError: no reward today")


@pytest.mark.parametrize(("trajectory", "partition"), [(TRAIN, "train"), ({"validate": True}, "val")])
def test_a_rollout_of_verls_own_loop_that_fails_says_in_the_queue_why(monkeypatch, trajectory, partition):
    tags = {}

    async def put(key, partition_id, tag):
        # As in the queue, a tag is added to those already there.
        tags.setdefault((partition_id, key), {}).update(tag)

    async def run(self, sampling_params, trajectory, *, agent_name, trace, session_id, **kwargs):
        if session_id == 1:
            raise KeyError("no such tool")

    monkeypatch.setattr(tq, "async_kv_put", put)
    monkeypatch.setattr(AgentLoopWorkerTQ.__ray_actor_class__, "_run_agent_loop", run)
    worker = equip(object.__new__(GroupRolloutWorker), Server(), Rewards())
    worker._loop, worker._default_loop = SimpleNamespace(), "single_turn_agent"
    asyncio.run(worker._run_prompt({**prompt(), "agent_name": "tool_agent"}, {"temperature": 1.0}, trajectory))
    (tag,) = tags.values()
    assert (partition, "group") in tags and tag["status"] == "failure"
    assert tag[ERROR].startswith("Traceback") and tag[ERROR].endswith("KeyError: 'no such tool'")


@pytest.mark.parametrize("returned", [None, {"score": None}, {"points": 1.0}])
def test_a_reward_function_that_returns_no_reward_fails_its_group(stored, returned):
    rewards = Rewards()
    rewards.manager.compute_score = lambda **_: returned
    asyncio.run(roll_out(Server(), rewards))
    assert stored.statuses == {"group": "failure"} and not stored.rows
    reason = "KeyError: 'score'" if returned == {"points": 1.0} else "returned no number for data_source 'toy'"
    assert reason in stored.errors["group"]


def test_a_prompt_with_a_priority_is_left_to_verls_own_loop(monkeypatch):
    given = []

    async def run_prompt(self, prompt, sampling_params, trajectory, trace=False):
        given.append(prompt)

    monkeypatch.setattr(AgentLoopWorkerTQ.__ray_actor_class__, "_run_prompt", run_prompt)
    worker = equip(object.__new__(GroupRolloutWorker), Server(), Rewards())
    worker._loop, worker._default_loop = SimpleNamespace(), "single_turn_agent"
    asyncio.run(worker._run_prompt({**prompt(), "priority": 3}, {}, TRAIN))
    assert [own["priority"] for own in given] == [3]


def test_an_aborted_group_ends_as_failed_without_noise(stored, caplog, monkeypatch):
    class Waiting(Server):
        """Every call ends when it is cancelled."""

        async def _generate(self, request_id, prompt_ids, sampling_params):
            await self.cancelled.wait()
            raise TaskCancelledError()

    async def cancelled():
        server = Waiting()
        server.cancelled = asyncio.Event()
        monkeypatch.setattr(ray, "cancel", lambda call: server.cancelled.set())
        worker = equip(object.__new__(GroupRolloutWorker), server, Rewards())
        run = asyncio.create_task(roll_out_with(worker))
        while not worker._calls:
            await asyncio.sleep(0)
        await worker.abort(["another", "group"])
        await run
        return worker

    worker = asyncio.run(cancelled())
    assert stored.statuses == {"group": "failure"} and not stored.rows and not worker._calls
    assert "failed" not in caplog.text
