"""Collects finished groups, tells the sampler what came of them, launches what it asks for, hands over the batch."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome, judge
from mt_grpo_recipe.algorithm.samplers import Sampler
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.history.record import Timeline
from mt_grpo_recipe.verl_plugin.failures import check_validation, failed_groups, first_errors, log_shortfall
from mt_grpo_recipe.verl_plugin.queue_rows import PARTITION, mixed, uid_of_key
from mt_grpo_recipe.verl_plugin.reward_warnings import RewardWarnings
from mt_grpo_recipe.verl_plugin.rollout_rewards import judged_rollouts
from mt_grpo_recipe.verl_plugin.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass
class StepRecord:
    """What the sampler did in one step, for the parts of the step that follow."""

    selection: Selection
    decide_s: float
    """Seconds spent on the sampler and the controller."""
    poll_s: float
    """Seconds spent listing the queue and reading and judging rewards, mostly while groups generate."""
    timeline: Timeline
    """When the groups were launched, and seen to end, in milliseconds."""
    errors: dict[int, str] = field(default_factory=dict)
    """The first failure of each task that had failed groups, by task."""


class Launches:
    """Matches the queue's groups with the sampler's: uid <-> launch id, within one step.

    Args:
        uids: of the groups that earlier steps left, in order of launch.
        waiting: those of them that were not seen to end yet.
    """

    def __init__(self, uids: Iterable[str] = (), waiting: Iterable[str] = ()):
        self.uids = list(uids)
        """By launch id."""
        self.id_of = {uid: launch_id for launch_id, uid in enumerate(self.uids)}
        self.waiting = set(waiting)
        """Uids of groups that were not seen to end yet."""
        self.cleared: set[str] = set()
        """Uids of groups whose rows have left the queue."""
        self.numbers_of: dict[str, list[float]] = {}
        """The numbers that the rollouts of a group were judged by, by uid."""
        self.timeline = Timeline()
        self.timeline.launch(len(self.uids))

    def add(self, uids: list[str]) -> None:
        """Book groups that were just launched, in order of launch."""
        self.id_of.update({uid: launch_id for launch_id, uid in enumerate(uids, start=len(self.uids))})
        self.uids += uids
        self.waiting.update(uids)
        self.timeline.launch(len(uids))


class EmptyBatch(RuntimeError):
    """The step's budget is spent and not one group is informative."""


class TaskReplayBuffer(ReplayBuffer):
    """verl's synchronous buffer, with the choice of the training batch left to a `TaskController`.

    Args:
        launch: task indices -> uids; submits one prompt of each task for generation, in that order.
        abort: stops the rollouts of the groups with these uids; used where the sampler aborts its surplus.
        config: the checked section `mt_grpo`.
        **kwargs: what verl gives a replay buffer.
    """

    carries_over: ClassVar[bool] = False
    """Whether a step leaves groups to the next one; otherwise it waits for those in flight and drops the rest."""

    def __init__(
        self,
        launch: Callable[[list[int]], list[str]],
        abort: Callable[[list[str]], None],
        config: MTGRPOConfig,
        **kwargs: Any,
    ):
        super().__init__(poll_interval=config.sampler.poll_interval_s, **kwargs)
        self._launch = launch
        self._abort = abort
        self._config, self._rewards, self._seed = config.sampler, config.rewards, config.seed
        self._warnings = RewardWarnings(config)
        self._controller: TaskController | None = None
        self._record: StepRecord | None = None
        self._launches = Launches()
        self._validated: dict[str, list[float]] = {}
        self._failed_validation: dict[str, str] = {}

    @property
    def controller(self) -> TaskController:
        """What decides; the trainer sets it once it has read the data."""
        assert self._controller is not None, "the controller is set when the data is loaded"
        return self._controller

    @controller.setter
    def controller(self, controller: TaskController) -> None:
        self._controller = controller

    @property
    def record(self) -> StepRecord:
        """What the sampler did in the latest step."""
        assert self._record is not None, "no step has been sampled yet"
        return self._record

    @property
    def has_sampled(self) -> bool:
        """Whether a step was sampled since this start."""
        return self._record is not None

    def task_of(self, uid: str) -> int | None:
        """Task of a group of the latest step; None for anything else, such as verl's padding."""
        launch_id = self._launches.id_of.get(uid)
        return None if launch_id is None else self.record.selection.groups.task_of[launch_id]

    # ------------------------------------------------------------------ one step

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """Validation is verl's own; a training batch is generated, filtered and chosen as the controller decides.

        Raises:
            EmptyBatch: no group of the step is worth training on; all of them are cleared away.
        """
        if partition_id != PARTITION:
            return self._sample_validation(global_steps, partition_id, batch_size)
        decide, poll = Stopwatch(), Stopwatch()
        with decide:
            self._launches = self._begin_step(global_steps)
            sampler = self.controller.begin_step()
        self._drive(sampler, decide, poll)
        with decide:
            selection = sampler.select()
            self.controller.observe(selection)
        errors = first_errors(selection, self._launches.uids)
        self._record = StepRecord(selection, decide.total_s, poll.total_s, self._launches.timeline, errors)
        log_shortfall(global_steps, self.controller, selection, errors)
        self._warn_of_rewards(selection)
        return self._hand_over(selection), self._metrics()

    def _sample_validation(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """verl's own choice of the rows; the accuracy of each rollout is kept for `take_validated`.

        Raises:
            ValidationFailed: there are no rows, and verl cannot validate on none.
        """
        batch, metrics = super().sample(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        check_validation(global_steps, batch, batch_size, self._failed_validation)
        for rollout in judged_rollouts(batch.keys, partition_id, self._rewards):
            accuracy = 0.0 if math.isnan(rollout.accuracy) else rollout.accuracy
            self._validated.setdefault(rollout.uid, []).append(accuracy)
        return batch, metrics

    def _materialize_batch(
        self, partition_id: str, selected_prompt_uids: list[str], partition_snapshot: dict[str, dict]
    ) -> KVBatchMeta:
        if partition_id != PARTITION:
            # verl clears the prompts here, and with them what failed.
            self._failed_validation = failed_groups(partition_id, selected_prompt_uids)
        return super()._materialize_batch(partition_id, selected_prompt_uids, partition_snapshot)

    def take_validated(self) -> dict[str, list[float]]:
        """Accuracy of each finished rollout validated since the last call, by uid of its prompt."""
        validated, self._validated = self._validated, {}
        return validated

    def _begin_step(self, global_steps: int) -> Launches:
        """The groups that the step begins with, which the controller holds."""
        return Launches()

    def _drive(self, sampler: Sampler, decide: Stopwatch, poll: Stopwatch) -> None:
        """Launch what the sampler asks for and tell it what came of it, until the batch is settled."""
        launches, aborted = self._launches, set()
        start = last_end = time.monotonic()
        while not sampler.done or (launches.waiting and not self.carries_over):
            with decide:
                tasks = sampler.ask()
            if tasks:
                launches.add(self._launch(tasks))
            if sampler.done and self._config.aborts_surplus and not aborted:
                # The batch is settled. What was not stopped in time counts like any other group.
                aborted = set(launches.waiting)
                self._abort(sorted(aborted))
            with poll:
                results = self._poll(stalled_s=time.monotonic() - last_end)
            told = {
                launches.id_of[uid]: result
                for uid, result in results.items()
                if result.outcome is not Outcome.FAILED or uid not in aborted
            }
            with decide:
                for launch_id, result in told.items():
                    sampler.tell(launch_id, result)
            if results:
                launches.waiting -= results.keys()
                last_end = time.monotonic()
                launches.timeline.end(told, tick=round(1000 * (last_end - start)))
            elif launches.waiting:
                # Where listing a large queue takes long, poll less often rather than keep the queue busy.
                time.sleep(max(self.poll_interval, 4 * poll.last_s))

    def _metrics(self) -> dict[str, float]:
        """What verl should log beside the controller's metrics."""
        return {}

    def _poll(self, stalled_s: float) -> dict[str, GroupResult]:
        """Results of the groups that ended since the last poll, or of all in flight once they stall."""
        self._sync_metadata_from_transfer_queue()
        waiting = self._launches.waiting
        ended = (self.finished_keys[PARTITION] | self.failure_keys[PARTITION]) & waiting
        if ended:
            return self._read_results(ended)
        if waiting and stalled_s > self._config.stall_timeout_s:
            logger.error(
                "No group has finished for %.0f s (mt_grpo.sampler.stall_timeout_s): %d groups are given up.",
                self._config.stall_timeout_s,
                len(waiting),
            )
            return dict.fromkeys(waiting, FAILED_GROUP)
        return {}

    def _read_results(self, uids: Collection[str]) -> dict[str, GroupResult]:
        """Read the rewards of groups that ended, and judge them."""
        failed = self.failure_keys[PARTITION] & set(uids)
        rewards: dict[str, list[float]] = {uid: [] for uid in uids if uid not in failed}
        accuracy: dict[str, list[float]] = {uid: [] for uid in rewards}
        tokens = self._response_tokens(rewards.keys())
        keys = [key for key in self.partitions[PARTITION] if uid_of_key(key) in rewards]
        for rollout in judged_rollouts(keys, PARTITION, self._rewards):
            rewards[rollout.uid].append(rollout.reward)
            accuracy[rollout.uid].append(rollout.accuracy)
            if math.isfinite(rollout.number):
                self._launches.numbers_of.setdefault(rollout.uid, []).append(rollout.number)
        judged = {uid: judge(rewards_G, accuracy[uid], self._config, tokens[uid]) for uid, rewards_G in rewards.items()}
        # Nothing needs their rows any more, and a step may filter more of them than the queue can hold.
        filtered = {uid for uid, result in judged.items() if result.outcome is Outcome.FILTERED}
        self._clear_groups(PARTITION, filtered)
        self._launches.cleared |= filtered
        return dict.fromkeys(failed, FAILED_GROUP) | judged

    def _response_tokens(self, uids: Collection[str]) -> dict[str, int]:
        """Response tokens of each of these groups, over all its outputs."""
        tokens = dict.fromkeys(uids, 0)
        for key, tag in self.partitions[PARTITION].items():
            if (uid := uid_of_key(key)) in tokens:
                tokens[uid] += tag.get("response_len", 0)
        return tokens

    def _warn_of_rewards(self, selection: Selection) -> None:
        """Warn once of rewards in the step's groups that do not fit the settings."""
        numbers_of: dict[int, list[float]] = defaultdict(list)
        for uid, numbers in self._launches.numbers_of.items():
            numbers_of[selection.groups.task_of[self._launches.id_of[uid]]] += numbers
        self._warnings.see(numbers_of)
        self._warnings.say(self.controller)

    def _known(self) -> set[str]:
        """Every group that had anything in the queue at the last poll."""
        return {uid_of_key(key) for key in self.partitions[PARTITION]} | self.prompt_global_steps[PARTITION].keys()

    def _hand_over(self, selection: Selection) -> KVBatchMeta:
        """Clear every group that was not chosen, and return the chosen ones in mixed order."""
        chosen = [self._launches.uids[launch_id] for launch_id in selection.launch_ids]
        self._clear_groups(PARTITION, self._known() - set(chosen))
        return self._batch(mixed(chosen, self._seed, selection.groups.step))

    def _batch(self, chosen: list[str]) -> KVBatchMeta:
        """The rows of these groups, in this order.

        Raises:
            EmptyBatch: there are none.
        """
        if not chosen:
            raise EmptyBatch("no group of this step is informative")
        batch = self._materialize_batch(PARTITION, chosen, dict(self.partitions[PARTITION]))
        position = {uid: i for i, uid in enumerate(chosen)}
        batch.reorder(
            sorted(range(len(batch)), key=lambda row: (position[uid_of_key(batch.keys[row])], batch.keys[row]))
        )
        return batch
