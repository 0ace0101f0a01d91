"""Collects finished groups, tells the sampler what came of them, launches what it asks for, hands over the batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from mt_grpo_recipe.algorithm.arrays import IntArray
from mt_grpo_recipe.algorithm.controller import Sampler, TaskController
from mt_grpo_recipe.algorithm.objective import CORRECT_THRESHOLD, has_spread
from mt_grpo_recipe.algorithm.ratio_sampler import Outcome, Selection, classify
from mt_grpo_recipe.config.schema import SamplerConfig
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION, uid_of_key

logger = logging.getLogger(__name__)


@dataclass
class StepRecord:
    """What the sampler did in one step, for the parts of the step that follow."""

    selection: Selection
    task_of_uid: dict[str, int]
    """Task of every group in the batch."""
    decide_s: float
    """Seconds spent on the sampler and the controller."""
    poll_s: float
    """Seconds spent on listing the queue and on reading and judging rewards, most of them while groups generate."""


class _Ended(NamedTuple):
    """What came of a group."""

    outcome: Outcome
    accuracy: float
    """Share of right rollouts."""
    flat: bool
    """Its rewards are equal though the filter let it through: no gradient will come of it."""


_FAILED = _Ended(Outcome.FAILED, 0.0, False)


@dataclass
class Waiting:
    """Groups of this step: those it launched, after those that earlier steps left."""

    uids: list[str] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    """Uid and task by launch id."""
    launch_of: dict[str, int] = field(default_factory=dict)
    """uid -> launch id, of groups whose end was not told yet."""

    kept: set[int] = field(default_factory=set)
    """Launch ids of groups that ended and that the filter let through."""
    flat: set[int] = field(default_factory=set)
    """Launch ids of those of them with equal rewards."""
    told_before: set[int] = field(default_factory=set)
    """Launch ids of groups whose end an earlier step was told of."""

    def count_K(self, launch_ids: Collection[int], num_tasks: int) -> IntArray:
        """Groups of each task among these, shape (K,)."""
        tasks = np.asarray([self.tasks[launch_id] for launch_id in launch_ids], dtype=np.int64)
        return np.bincount(tasks, minlength=num_tasks)

    def add(self, uids: list[str], tasks: list[int]) -> None:
        """Book groups that were just launched."""
        self.launch_of.update({uid: len(self.uids) + i for i, uid in enumerate(uids)})
        self.uids += uids
        self.tasks += tasks


class Stopwatch:
    """Adds up the seconds spent inside its `with` blocks."""

    def __init__(self) -> None:
        self.total_s = self.last_s = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.last_s = time.perf_counter() - self._start
        self.total_s += self.last_s


class EmptyBatch(RuntimeError):
    """The step's budget was spent and not one group carries a gradient."""


class TaskReplayBuffer(ReplayBuffer):
    """verl's synchronous buffer, with the choice of the training batch left to a `TaskController`.

    Args:
        launch: task indices -> uids; submits one prompt of each task for generation, in that order.
        abort: stops the rollouts of the groups with these uids; used with `surplus: abort`.
        config: the sampler section.
        **kwargs: what verl gives a replay buffer.
    """

    carries_over: ClassVar[bool] = False
    """Whether a step leaves its groups in flight to the next one, instead of waiting for them."""

    def __init__(
        self,
        launch: Callable[[list[int]], list[str]],
        abort: Callable[[list[str]], None],
        config: SamplerConfig,
        **kwargs: Any,
    ):
        super().__init__(poll_interval=config.poll_interval_s, **kwargs)
        self._launch = launch
        self._abort = abort
        self._config = config
        self.controller: TaskController | None = None
        self.record: StepRecord | None = None

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """Validation goes verl's way; a training batch is generated, filtered and chosen as the controller decides.

        Raises:
            EmptyBatch: no group of the step is worth training on; all of them are cleared away.
        """
        if partition_id != PARTITION:
            return super().sample(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        assert self.controller is not None, "the controller is set when the data is loaded"
        decide, poll = Stopwatch(), Stopwatch()
        waiting = Waiting()
        with decide:
            sampler = self._begin_step(global_steps, waiting)
        correct_K = np.zeros(len(self.controller.tasks))
        aborted: set[str] = set()
        last_end = time.monotonic()
        while not sampler.done or (waiting.launch_of and not self.carries_over):
            with decide:
                tasks = sampler.ask()
            if tasks:
                waiting.add(self._launch(tasks), tasks)
            if sampler.done and self._config.surplus == "abort" and not aborted:
                # The batch is settled. What was not stopped in time counts like any other group.
                aborted = set(waiting.launch_of)
                self._abort(sorted(aborted))
            with poll:
                outcomes = self._poll(waiting, stalled_s=time.monotonic() - last_end)
            with decide:
                for uid, ended in outcomes.items():
                    launch_id = waiting.launch_of.pop(uid)
                    if uid in aborted and ended.outcome is Outcome.FAILED:
                        continue
                    sampler.tell(launch_id, ended.outcome)
                    if ended.outcome is not Outcome.FAILED:
                        correct_K[waiting.tasks[launch_id]] += ended.accuracy
                    if ended.outcome is Outcome.INFORMATIVE:
                        waiting.kept.add(launch_id)
                    if ended.flat:
                        waiting.flat.add(launch_id)
            if outcomes:
                last_end = time.monotonic()
            elif waiting.launch_of:
                # Where listing a large queue takes long, look less often rather than keep the queue busy.
                time.sleep(max(self.poll_interval, 4 * poll.last_s))
        with decide:
            selection = self._select(sampler)
            self.controller.observe(
                selection,
                correct_K,
                waiting.count_K(waiting.flat - waiting.told_before, len(correct_K)),
                waiting.count_K(waiting.flat & set(selection.launch_ids), len(correct_K)),
            )
        chosen = [waiting.uids[launch_id] for launch_id in selection.launch_ids]
        tasks_of_chosen = [waiting.tasks[launch_id] for launch_id in selection.launch_ids]
        self.record = StepRecord(
            selection, dict(zip(chosen, tasks_of_chosen, strict=True)), decide.total_s, poll.total_s
        )
        self._log_shortfall(global_steps, selection)
        return self._hand_over(waiting, chosen), self._metrics()

    def _begin_step(self, global_steps: int, waiting: Waiting) -> Sampler:
        """Have the controller draw the quotas of a step; `waiting` is empty."""
        assert self.controller is not None
        return self.controller.begin_step()

    def _select(self, sampler: Sampler) -> Selection:
        return sampler.select()

    def _metrics(self) -> dict[str, float]:
        """What verl is to log beside the controller's metrics."""
        return {}

    def _poll(self, waiting: Waiting, stalled_s: float) -> dict[str, _Ended]:
        """Outcome and accuracy of the groups that ended since the last look, or of all in flight once they stall."""
        self._sync_metadata_from_transfer_queue()
        ended = (self.finished_keys[PARTITION] | self.failure_keys[PARTITION]) & waiting.launch_of.keys()
        if ended:
            return self._read_outcomes(ended)
        if waiting.launch_of and stalled_s > self._config.stall_timeout_s:
            logger.error(
                "No group has finished for %.0f s (mt_grpo.sampler.stall_timeout_s): %d groups are given up.",
                self._config.stall_timeout_s,
                len(waiting.launch_of),
            )
            return dict.fromkeys(waiting.launch_of, _FAILED)
        return {}

    def _read_outcomes(self, uids: Collection[str]) -> dict[str, _Ended]:
        """Read the rewards of groups that ended, and judge them."""
        failed = self.failure_keys[PARTITION] & set(uids)
        outcomes = dict.fromkeys(failed, _FAILED)
        # A session may have several outputs; all carry the reward of the last one.
        last_output: dict[tuple[str, str], tuple[int, str]] = {}
        for key in self.partitions[PARTITION]:
            uid, _, rest = key.partition("_")
            if uid not in uids or uid in failed:
                continue
            session, output = rest.split("_")
            if int(output) >= last_output.get((uid, session), (-1, ""))[0]:
                last_output[uid, session] = (int(output), key)
        rewards: dict[str, list[float]] = {uid: [] for uid in uids if uid not in failed}
        correct: dict[str, list[bool]] = {uid: [] for uid in rewards}
        if last_output:
            keys = [key for _, key in last_output.values()]
            fields = ["rm_scores", "extra_fields"]
            data: Any = tq.kv_batch_get(keys=keys, partition_id=PARTITION, select_fields=fields)
            for key, scores, extra in zip(keys, data["rm_scores"], data["extra_fields"], strict=True):
                reward = float(scores.sum())
                info = getattr(extra, "data", extra).get("reward_extra_info", {})
                accuracy = info.get("acc")
                rewards[uid_of_key(key)].append(reward)
                correct[uid_of_key(key)].append((reward if accuracy is None else accuracy) >= CORRECT_THRESHOLD)
        for uid, rewards_G in rewards.items():
            outcome = classify(rewards_G, correct[uid], self._config.filter)
            if outcome is Outcome.FAILED:
                outcomes[uid] = _FAILED
            else:
                flat = outcome is Outcome.INFORMATIVE and not has_spread(rewards_G)
                outcomes[uid] = _Ended(outcome, float(np.mean(correct[uid])), flat)
        return outcomes

    def _known(self) -> set[str]:
        """Every group of which the queue held anything at the last look."""
        return {uid_of_key(key) for key in self.partitions[PARTITION]} | self.prompt_global_steps[PARTITION].keys()

    def _hand_over(self, waiting: Waiting, chosen: list[str]) -> KVBatchMeta:
        """Clear every group that was not chosen, and return the chosen ones in order of launch."""
        self._clear_groups(PARTITION, self._known() - set(chosen))
        return self._batch(chosen)

    def _batch(self, chosen: list[str]) -> KVBatchMeta:
        """The rows of these groups, in this order.

        Raises:
            EmptyBatch: there are none.
        """
        if not chosen:
            raise EmptyBatch("no group of this step carries a gradient")
        batch = self._materialize_batch(PARTITION, chosen, dict(self.partitions[PARTITION]))
        position = {uid: i for i, uid in enumerate(chosen)}
        batch.reorder(
            sorted(range(len(batch)), key=lambda row: (position[uid_of_key(batch.keys[row])], batch.keys[row]))
        )
        return batch

    def _log_shortfall(self, global_steps: int, selection: Selection) -> None:
        assert self.controller is not None
        short = [
            f"{self.controller.tasks[task]!r} {selection.chosen_K[task]} of {selection.quota_K[task]}"
            for task in np.flatnonzero(selection.shortfall_K)
        ]
        failed = int(selection.failed_K.sum())
        if short or failed:
            logger.warning(
                "Step %d: short of its quota after %d rounds: %s; %d groups failed.",
                global_steps,
                selection.rounds,
                ", ".join(short) or "none",
                failed,
            )
