"""What the groups of a step ended as, counted so that every group that ended counts once."""

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.cost import step_costs
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupLedger, judge
from mt_grpo_recipe.algorithm.selection import select_groups
from mt_grpo_recipe.algorithm.settings import RoundsSettings

GROUPS = [
    ([1.0, 1.0], [1, 1]),
    ([0.1, 0.0], [0, 0]),  # the rewards differ, and no rollout is right
    ([0.0, 0.0], [0, 0]),
    ([0.5, 0.5], [0.5, 0.5]),
    ([1.0, 0.0], [1, 0]),
    ([1.0, 0.0], [1, 0]),
]
MIXED = {"all_right": 1, "all_wrong": 2, "all_alike": 1, "failed": 1, "with_gradient": 2, "trained": 3}
SPREAD = {"all_right": 1, "all_wrong": 1, "all_alike": 1, "failed": 1, "with_gradient": 3, "trained": 3}
KEPT = {"all_right": 1, "all_wrong": 1, "all_alike": 1, "failed": 1, "with_gradient": 3, "trained": 6}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, MIXED),
        ({"informative": "spread"}, SPREAD),
        ({"drop_uninformative": False, "ratio": False}, KEPT),
    ],
)
def test_every_group_that_ended_counts_once(settings, expected):
    sampler = RoundsSettings(**settings)
    ledger = GroupLedger(2)
    ledger.launch([1] * (len(GROUPS) + 2))
    for launch_id, (rewards, accuracies) in enumerate(GROUPS):
        ledger.tell(launch_id, judge(rewards, accuracies, sampler))
    ledger.tell(len(GROUPS), FAILED_GROUP)
    selection = select_groups(ledger, np.array([0, 8]), None, batch_size=8, rounds=1)
    costs = step_costs(selection, carries_over=False, forgotten_K=np.zeros(2, dtype=np.int64))
    counted = {metric.key: values_K.tolist() for metric, values_K in costs.items() if metric.key in expected}
    assert counted == {key: [0, value] for key, value in expected.items()}
    # Every informative group was chosen, so that those with a gradient are the rest.
    assert sum(expected[key] for key in expected.keys() - {"trained"}) == len(GROUPS) + 1
