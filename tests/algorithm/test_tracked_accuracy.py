"""J_k with its uncertainty, against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker


def see(tracker, *groups_K):
    """One step that brought groups with these accuracies, by task."""
    tracker.update(
        np.array([len(groups) for groups in groups_K]),
        np.array([sum(groups) for groups in groups_K], dtype=np.float64),
        np.array([sum(x**2 for x in groups) for groups in groups_K], dtype=np.float64),
    )


def test_a_task_that_was_never_seen_has_no_accuracy():
    tracker = AccuracyTracker(2)
    see(tracker, [0.5], [])
    assert tracker.seen_K.tolist() == [True, False] and tracker.steps == 1
    assert math.isnan(tracker.mean_K[1]) and math.isnan(tracker.error_K[1])
    assert (tracker.groups_K[1], tracker.age_K[1]) == (0.0, 1)


def test_mean_and_groups_by_hand():
    tracker = AccuracyTracker(1)
    see(tracker, [1.0, 0.0])
    assert (tracker.mean_K[0], tracker.groups_K[0]) == (0.5, pytest.approx(2.0))
    see(tracker, [1.0])
    # weights 0.9, 0.9 and 1: mean 1.9 / 2.8; groups 2.8^2 / (2 * 0.81 + 1) = 7.84 / 2.62
    assert tracker.mean_K[0] == pytest.approx(1.9 / 2.8)
    assert tracker.groups_K[0] == pytest.approx(7.84 / 2.62)


def test_the_error_counts_one_group_more_of_the_largest_variance():
    tracker = AccuracyTracker(3)
    see(tracker, [1.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.5, 0.5], [0.0])
    # Variance of x: 1/4, 0, 0. With the group more: (4 * 0.25 + 0.25) / 5 = 0.25, 0.25 / 5 = 0.05, 0.25 / 2 = 0.125.
    # Errors: sqrt(0.25 / 4) = 0.25, sqrt(0.05 / 4) = 0.1118034, sqrt(0.125 / 1) = 0.3535534
    assert tracker.error_K == pytest.approx([0.25, 0.1118034, 0.3535534])


def test_what_is_known_of_a_task_that_is_not_sampled_fades():
    tracker = AccuracyTracker(1)
    see(tracker, [0.5] * 8)
    for _ in range(7):
        see(tracker, [])
    # 8 * 0.9^7 = 3.8263752 groups; error sqrt(0.25 / 4.8263752 / 3.8263752) = 0.1163498
    assert (tracker.mean_K[0], tracker.age_K[0]) == (0.5, 7)
    assert tracker.groups_K[0] == pytest.approx(3.8263752)
    assert tracker.error_K[0] == pytest.approx(0.1163498)
    see(tracker, [1.0] * 8)
    # The old groups weigh 0.9^8 = 0.43046721: (0.43046721 * 4 + 8) / (0.43046721 * 8 + 8) = 9.72186884 / 11.44373768
    assert tracker.age_K[0] == 0
    assert tracker.mean_K[0] == pytest.approx(9.72186884 / 11.44373768)


def test_after_ages_nothing_is_known_and_nothing_overflows():
    tracker = AccuracyTracker(1)
    see(tracker, [1.0] * 8)
    for _ in range(10_000):
        see(tracker, [])
    assert (tracker.groups_K[0], tracker.error_K[0]) == (0.0, 0.5)
    see(tracker, [0.0, 0.0])
    assert (tracker.mean_K[0], tracker.groups_K[0]) == (0.0, 2.0)


def test_what_is_logged_leaves_out_the_accuracy_of_a_task_never_seen():
    tracker = AccuracyTracker(2)
    see(tracker, [0.5], [])
    logged = {metric.key: values_K.tolist() for metric, values_K in tracker.readings().items()}
    assert logged["tracked_age"] == [0, 1] and logged["tracked_groups"] == [1, 0]
    assert logged["tracked_accuracy"][0] == 0.5 and math.isnan(logged["tracked_accuracy"][1])


def test_a_restored_tracker_goes_on_alike():
    tracker, restored = AccuracyTracker(2), AccuracyTracker(2)
    rng = np.random.default_rng(0)
    for _ in range(5):
        see(tracker, rng.random(3).tolist(), [])
    restored.load_state_dict(json.loads(json.dumps(tracker.state_dict())))
    for _ in range(5):
        groups = rng.random(2).tolist()
        see(tracker, [], groups)
        see(restored, [], groups)
        assert restored.state_dict() == tracker.state_dict()
        assert restored.error_K.tolist() == tracker.error_K.tolist()
