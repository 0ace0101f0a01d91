"""Steps in a row in which something is amiss with a task's groups."""

import numpy as np

from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.selection import select_groups
from mt_grpo_recipe.algorithm.streaks import Streaks

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FLAT = GroupResult(Outcome.FILTERED, 0.0, spread=False)
UNEQUAL = GroupResult(Outcome.FILTERED, 0.0, spread=True)
RIGHT = GroupResult(Outcome.FILTERED, 1.0, spread=False)


def observe(streaks, *results):
    """A step with these (task, result) of two tasks."""
    groups = GroupLedger(2)
    groups.launch([task for task, _ in results])
    for launch_id, (_, result) in enumerate(results):
        groups.tell(launch_id, result)
    streaks.observe(select_groups(groups, np.array([1, 1]), None, batch_size=2, rounds=1))


def counts(streaks):
    return [array.tolist() for array in (streaks.dropped_K, streaks.dropped_spread_K, streaks.wrong_K)]


def test_steps_in_which_everything_is_dropped_are_counted_until_a_group_is_kept():
    streaks = Streaks(2)
    observe(streaks, (0, UNEQUAL), (0, FLAT), (1, KEPT))
    observe(streaks, (0, UNEQUAL), (0, UNEQUAL), (1, FLAT))
    assert counts(streaks) == [[2, 1], [3, 0], [2, 1]]
    # No group of the task ended: the counts stay.
    observe(streaks, (0, FAILED_GROUP), (1, FLAT))
    assert counts(streaks) == [[2, 2], [3, 0], [2, 2]]
    observe(streaks, (0, RIGHT), (1, FLAT))
    assert counts(streaks) == [[3, 3], [3, 0], [0, 3]]
    observe(streaks, (0, KEPT), (0, UNEQUAL), (1, UNEQUAL))
    assert counts(streaks) == [[0, 4], [0, 1], [0, 4]]


def test_steps_in_which_everything_fails_are_counted_until_a_group_finishes():
    streaks = Streaks(2)
    observe(streaks, (0, FAILED_GROUP), (1, FAILED_GROUP))
    observe(streaks, (0, FAILED_GROUP))
    assert (streaks.failing_K.tolist(), streaks.failing) == ([2, 1], 2)
    observe(streaks, (0, FAILED_GROUP))
    assert streaks.broken == [], "nothing finishes at all, which may pass"
    observe(streaks, (0, FAILED_GROUP), (1, FLAT))
    assert (streaks.failing_K.tolist(), streaks.failing) == ([4, 0], 0)
    assert streaks.broken == [0]
