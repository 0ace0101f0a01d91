"""What counts as right, on whatever scale a reward function returns its numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt_grpo_recipe.algorithm.accuracy import accuracy_of, judged_number, off_scale
from mt_grpo_recipe.algorithm.settings import RewardSettings

PAPER = RewardSettings()
numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("settings", "number", "accuracy"),
    [
        *((PAPER, number, accuracy) for number, accuracy in ((1.0, 1), (1 - 1e-7, 1), (0.999, 0), (0.1, 0), (0, 0))),
        *((PAPER, number, accuracy) for number, accuracy in ((-1, 0), (True, 1), (False, 0), (np.float32(1), 1))),
        *((RewardSettings(correct_at=8), number, accuracy) for number, accuracy in ((10, 1), (8, 1), (7.9, 0))),
        *((RewardSettings(correct_at=bound), float(np.float32(bound)), 1) for bound in (66.6, 100.1, 1000.1, 12345.6)),
        *((RewardSettings(correct_at=-99.9), number, accuracy) for number, accuracy in ((-99.9, 1), (-100, 0))),
        *((RewardSettings(correct_at=0), number, accuracy) for number, accuracy in ((0, 1), (-1, 0))),
        *((RewardSettings(range=[0, 10]), number, accuracy) for number, accuracy in ((7, 0.7), (12, 1), (-3, 0))),
        *((RewardSettings(range=[-1, 1]), number, accuracy) for number, accuracy in ((-1, 0), (0, 0.5), (1, 1))),
    ],
)
def test_the_accuracy_of_a_number(settings, number, accuracy):
    assert accuracy_of(judged_number(0.5, number), settings) == pytest.approx(accuracy, abs=1e-12)


def test_acc_is_judged_where_there_is_one_and_the_reward_where_there_is_none():
    assert judged_number(0.3, None) == 0.3
    assert judged_number(0.3, 1) == 1.0
    assert judged_number(0.3, np.array(0.5)) == 0.5


@pytest.mark.parametrize("acc", ["right", [1, 2], {}, math.nan, math.inf])
@pytest.mark.parametrize("settings", [PAPER, RewardSettings(range=[0, 1])])
def test_an_acc_that_is_no_finite_number_has_no_accuracy(acc, settings):
    assert math.isnan(accuracy_of(judged_number(1.0, acc), settings))


@given(numbers, numbers, numbers, st.floats(1e-3, 1e6))
def test_an_accuracy_lies_between_zero_and_one_and_rises_with_the_number(first, second, worst, width):
    low, high = sorted((first, second))
    for settings in (RewardSettings(correct_at=worst), RewardSettings(range=[worst, worst + width])):
        assert 0 <= accuracy_of(low, settings) <= accuracy_of(high, settings) <= 1


@pytest.mark.parametrize(
    ("settings", "inside", "outside"),
    [
        (PAPER, [1.0, 0.1, 0.0, -1.0], [1.1, 10.0]),
        (RewardSettings(correct_at=8), [-1, 8, 10], []),
        (RewardSettings(range=[0, 10]), [0, 3, 10], [-0.1, 11]),
        (RewardSettings(range=[0, 100.1]), [float(np.float32(100.1))], [100.2]),
    ],
)
def test_a_number_that_the_settings_cannot_be_meant_for_is_off_the_scale(settings, inside, outside):
    assert not any(off_scale(number, settings) for number in inside)
    assert all(off_scale(number, settings) for number in outside)
