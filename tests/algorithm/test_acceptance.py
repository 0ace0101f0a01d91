"""rho_k, the tracked share of filtered prompts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker


def test_update_by_hand_and_tasks_without_groups_keep_their_value():
    tracker = AcceptanceTracker(3, decay=0.9)
    tracker.update(np.array([3, 0, 0]), np.array([4, 0, 5]))
    # 0.9 * 0 + 0.1 * 3/4 | nothing seen | 0.1 * 0
    assert tracker.filtered_rate_K == pytest.approx([0.075, 0.0, 0.0])
    tracker.update(np.array([0, 2, 5]), np.array([0, 2, 5]))
    # kept | 0.1 * 1 | 0.1 * 1
    assert tracker.filtered_rate_K == pytest.approx([0.075, 0.1, 0.1])
    tracker.update(np.array([1, 1, 0]), np.array([2, 4, 1]))
    # 0.9 * 0.075 + 0.1 * 0.5 = 0.1175 | 0.09 + 0.025 = 0.115 | 0.09
    assert tracker.filtered_rate_K == pytest.approx([0.1175, 0.115, 0.09])


def test_inflation_by_hand_and_its_bound():
    tracker = AcceptanceTracker(4, decay=0.0)
    tracker.update(np.array([0, 3, 9, 7]), np.array([1, 4, 10, 7]))
    # rho = 0, 0.75, 0.9, 1: 1 / (1 - rho) = 1, 4, 10 -> 5, infinite -> 5
    assert tracker.inflation_K(5.0) == pytest.approx([1.0, 4.0, 5.0, 5.0])
    assert tracker.inflation_K(1.0) == pytest.approx([1.0] * 4)


def test_recent_counts_by_hand():
    tracker = AcceptanceTracker(2, decay=0.5)
    tracker.update(np.array([3, 0]), np.array([4, 0]))
    tracker.update(np.array([1, 2]), np.array([2, 2]))
    # 0.5 * 3 + 1, 0 + 2 | 0.5 * 4 + 2, 0 + 2; the first rate is 2.5 / 4, not pulled to the zero that rho starts from
    assert tracker.recent_filtered_K.tolist() == [2.5, 2.0]
    assert tracker.recent_finished_K.tolist() == [4.0, 2.0]
    tracker.update(np.array([0, 1]), np.array([0, 1]))
    # A task without groups keeps its evidence.
    assert tracker.recent_finished_K.tolist() == [4.0, 2.0]


def test_what_it_hands_out_is_a_copy():
    tracker = AcceptanceTracker(2, decay=0.5)
    tracker.filtered_rate_K[:] = 1.0
    assert tracker.filtered_rate_K == pytest.approx([0.0, 0.0])


def test_state_survives_json():
    tracker = AcceptanceTracker(2, decay=0.9)
    tracker.update(np.array([1, 2]), np.array([3, 7]))
    restored = AcceptanceTracker(2, decay=0.9)
    restored.load_state_dict(json.loads(json.dumps(tracker.state_dict())))
    assert (restored.filtered_rate_K == tracker.filtered_rate_K).all()
    assert (restored.recent_filtered_K == tracker.recent_filtered_K).all()
    assert (restored.recent_finished_K == tracker.recent_finished_K).all()


def test_a_task_is_barren_after_22_updates_without_an_informative_group():
    tracker = AcceptanceTracker(3, decay=0.9)
    for number in range(1, 45):
        # Task 1 has a group in every other update, task 2 an informative one in the 20th.
        finished_K = np.array([4, 4 * (number % 2), 4])
        tracker.update(np.array([4, 4 * (number % 2), 3 if number == 20 else 4]), finished_K)
        assert tracker.barren_K.tolist() == [number >= 22, number >= 43, number >= 42]
    restored = AcceptanceTracker(3, decay=0.9)
    restored.load_state_dict(json.loads(json.dumps(tracker.state_dict())))
    assert restored.barren_K.tolist() == [True] * 3
    restored.update(np.array([3, 4, 4]), np.array([4, 4, 4]))
    assert restored.barren_K.tolist() == [False, True, True]
