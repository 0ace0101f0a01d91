"""Rounded quotas that would leave a task out, step after step, are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.settings import (
    FixedSettings,
    MTGRPOConfig,
    RoundsSettings,
    SequentialSettings,
    SettingError,
    StreamingSettings,
)

NINE = [f"t{k}" for k in range(9)]
ROUNDED = RoundsSettings(quota="rounded")
ONE_ROUND = replace(ROUNDED, ratio=False, oversample=1.0)
EIGHTHS = FixedSettings(initial=[1.0] * 8 + [0.0])
STAGES = SequentialSettings(stages=[NINE[:1], NINE])


def controller(tasks, batch_size, **settings):
    return TaskController(tasks, batch_size, MTGRPOConfig(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": FixedSettings()},
        {"weights": STAGES},
        {"loss_weighting": "task", "sampler": ONE_ROUND},
        {"weights": FixedSettings(), "sampler": replace(ROUNDED, drop_uninformative=False, ratio=False)},
        {"weights": FixedSettings(), "sampler": StreamingSettings(quota="rounded")},
        {"weights": EIGHTHS, "loss_weighting": "task", "sampler": ONE_ROUND},
    ],
)
def test_rounded_quotas_that_always_leave_a_task_out_are_refused(settings):
    settings = {"sampler": ROUNDED} | settings
    with pytest.raises(SettingError, match=r"=rounded gives none of 8 groups to t8, step after step"):
        controller(NINE, 8, **settings)
    controller(NINE, 9, **settings)
    controller(NINE, 8, **settings | {"sampler": replace(settings["sampler"], quota="stratified")})


def test_rounded_quotas_are_judged_by_the_groups_that_a_round_draws():
    sampler = replace(ROUNDED, ratio=False, oversample=2.0)
    # 2 * 4 = 8 groups a round for nine tasks, or 10.
    with pytest.raises(SettingError, match=r"=rounded gives none of 8 groups to t8"):
        controller(NINE, 4, weights=FixedSettings(), sampler=sampler)
    controller(NINE, 5, weights=FixedSettings(), sampler=sampler)


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": EIGHTHS},
        {},
        {"weights": FixedSettings(), "sampler": StreamingSettings(quota="rounded", ratio=False, oversample=1.0)},
        {"weights": FixedSettings(initial=[1.0] * 8 + [0.01]), "loss_weighting": "task", "sampler": ONE_ROUND},
    ],
    ids=["no weight", "moving weights", "streaming without a ratio", "sampled evenly"],
)
def test_rounded_quotas_that_reach_every_task_in_time_are_accepted(settings):
    controller(NINE, 9 if "loss_weighting" in settings else 8, **{"sampler": ROUNDED} | settings)
