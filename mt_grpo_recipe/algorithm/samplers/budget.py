"""A budget instead of a batch: generate B groups, train on all that are informative, make up for shares step by step.

A filter cannot make information: every informative group that is generated and not trained on is wasted. So the budget
is fixed and the batch is what comes of it. A step generates as much as a GRPO step of B groups, however much the filter
takes; nothing informative is discarded, everything is on-policy, and there are no rounds.

The shares hold over the run, not in each step. With z the weights, C the groups that a step trains on, c_k those of
task k, and o_k what earlier steps owe the task, as in deficit round robin (fair queueing, Shreedhar and Varghese 1995):

    generated shares ~ max(z_k E[C] + o_k, z_k E[C] / 2) m_k,      o_k <- o_k + z_k C - c_k,

where m_k is the expected number of groups to generate per informative one, at most M_acc. o_k is bounded by half the
budget. A task that has shown no informative group for long is idle: it is generated at its weight at most, earns no
credit, and its share of the batch goes to the others, so that a hopeless task cannot use up the budget. One whose
informative groups are rare can: with weight 1/4 and one informative group in a hundred, beside a task with nine in ten
and 12 groups per step, it takes four fifths of the budget (mean of 20 simulated runs). A task whose groups have all
failed for some steps is treated as an idle one. What such a task was owed is given up, and so is what the others were
ahead of it: their debts are then debts to each other, with a sum of zero.
"""

from __future__ import annotations

import numpy as np

from mt_grpo_recipe.algorithm.arrays import BoolArray, FloatArray
from mt_grpo_recipe.algorithm.groups import GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.quotas import rounded_counts, stratified_counts
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.selection import Selection, selection_of
from mt_grpo_recipe.algorithm.settings import BudgetSettings

OWED_LIMIT = 0.5
"""Most groups that a task may be owed or be ahead by, in budgets: an old debt must not rule many steps."""

LEAST_SHARE = 0.5
"""A task that is ahead is wanted at no less than this part of its weight, before all wants are scaled to the budget."""


class BudgetSampler:
    """One step of the budget sampler: all groups are launched at once.

    Args:
        step: what the step runs with; `batch_size` is the budget.

    Raises:
        TypeError: the step's settings are those of another schedule.
    """

    def __init__(self, step: Step):
        if not isinstance(step.settings, BudgetSettings):
            raise TypeError(f"BudgetSampler needs BudgetSettings, not {type(step.settings).__name__}")
        self._step = step
        self._settings = step.settings
        self._weights_K = step.weights_K / step.weights_K.sum()
        keeps_shares = step.settings.ratio
        none_K = np.zeros(len(step.weights_K))
        owed_K = none_K if step.owed_K is None or not keeps_shares else step.owed_K
        # A task that is not to be trained any more, as after a stage of the rule `sequential`, has no debt to be paid.
        self._owed_K = owed_without(self._weights_K == 0, owed_K, self._weights_K)
        self._at_weight_K = (step.tracker.idle_K | step.broken_K) & keeps_shares
        self._groups = GroupLedger(len(step.weights_K), step=step.number)
        self._asked = False
        tries_K = self._tries_K()
        wanted_K = self._wanted_K(tries_K)
        self.quota_K = rounded_counts(wanted_K / wanted_K.sum(), max(1, round(float(wanted_K.sum()))))
        self._launch_shares_K = wanted_K * tries_K / (wanted_K @ tries_K)

    def _tries_K(self) -> FloatArray:
        """m_k: groups to generate per informative one, shape (K,)."""
        settings, tracker = self._settings, self._step.tracker
        if not (settings.ratio and settings.inflate):
            return np.ones(len(self._weights_K))
        informative_K = tracker.recent_finished_K - tracker.recent_filtered_K
        # Half a success and half a failure are added: no estimate is zero or one, and the first guess is even.
        tries_K = np.minimum((tracker.recent_finished_K + 1) / (informative_K + 0.5), settings.max_inflation)
        return np.where(self._at_weight_K, 1.0, tries_K)

    def _wanted_K(self, tries_K: FloatArray) -> FloatArray:
        """Informative groups wanted of each task, as far as the budget is expected to yield them, shape (K,)."""
        fair_K = self._weights_K * self._step.batch_size / (self._weights_K @ tries_K)
        wanted_K = np.maximum(fair_K + self._owed_K, LEAST_SHARE * fair_K)
        return np.where(self._at_weight_K, fair_K, wanted_K)

    @property
    def in_flight(self) -> int:
        """Groups launched whose result was not told yet."""
        return self._groups.in_flight

    @property
    def done(self) -> bool:
        """The whole budget was launched and has ended."""
        return self._asked and not self.in_flight

    def ask(self) -> list[int]:
        """Tasks of the whole budget at the first call, in mixed order; then nothing."""
        if self._asked:
            return []
        self._asked = True
        step = self._step
        counts_K = stratified_counts(self._launch_shares_K, step.batch_size, step.rng)
        launches = step.rng.permutation(np.repeat(np.arange(len(counts_K)), counts_K)).tolist()
        self._groups.launch(launches)
        return launches

    def tell(self, launch_id: int, result: GroupResult) -> None:
        """Say what came of a group.

        Raises:
            ValueError: the group was never launched, or its result is known already.
        """
        self._groups.tell(launch_id, result)
        if self.done:
            outcomes = self._groups.outcomes()
            filtered_K = self._groups.count_K(outcomes == Outcome.FILTERED)
            self._step.tracker.update(filtered_K, filtered_K + self._groups.count_K(outcomes == Outcome.INFORMATIVE))

    def select(self) -> Selection:
        """Choose every informative group; quotas and shares follow from the weights and from what was owed."""
        chosen = np.flatnonzero(self._groups.outcomes() == Outcome.INFORMATIVE)
        chosen_K = self._groups.count_K(chosen)
        given_up_K = self._at_weight_K & (chosen_K == 0)
        shares_K = self._earned_shares_K(given_up_K)
        earned_K = shares_K * len(chosen)
        owed_K = owed_without(given_up_K, self._owed_K, shares_K)
        target_K = np.maximum(earned_K + owed_K, 0.0)
        target_share_K = target_K / target_K.sum() if target_K.any() else self._weights_K
        limit = OWED_LIMIT * self._step.batch_size
        owed_K = np.clip(owed_K + earned_K - chosen_K, -limit, limit)
        return selection_of(
            self._groups,
            chosen,
            rounded_counts(target_share_K, len(chosen)),
            rounds=1,
            target_share_K=target_share_K,
            owed_K=owed_K if self._settings.ratio else None,
        )

    def _earned_shares_K(self, given_up_K: BoolArray) -> FloatArray:
        """Share of the batch that each task is due: z over the tasks that were not given up, shape (K,)."""
        due_K = np.where(given_up_K, 0.0, self._weights_K)
        return due_K / due_K.sum() if due_K.any() else self._weights_K


def owed_without(given_up_K: BoolArray, owed_K: FloatArray, shares_K: FloatArray) -> FloatArray:
    """What the tasks are owed once some of them are given up, shape (K,).

    The others were ahead of these, or these of them: that is settled by the shares, and what is left are debts of the
    others to each other. What residual weights leave owed to a task that a batch lacked is not to be paid by the
    others, so it stays.

    Args:
        given_up_K: which tasks, shape (K,).
        owed_K: before, shape (K,).
        shares_K: of the others in the batch, shape (K,); zero for those given up, unless all are.
    """
    kept_K = np.where(given_up_K, 0.0, owed_K)
    lead = min(float(kept_K.sum()), max(-float(owed_K[given_up_K].sum()), 0.0))
    return kept_K - shares_K * lead if given_up_K.any() else kept_K
