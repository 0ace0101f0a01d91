"""Rules that move the distribution z over the K tasks: one file per rule, and which one the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt_grpo_recipe.algorithm.arrays import as_vector
from mt_grpo_recipe.algorithm.settings import (
    CurriculumSettings,
    DumpSettings,
    FixedSettings,
    ImprovementAwareSettings,
    ProportionalSettings,
    RegularizedSettings,
    RobustSettings,
    RuleSettings,
    SequentialSettings,
    TargetsSettings,
)
from mt_grpo_recipe.algorithm.task_weights.base import Signal, WeightRule, softmax, with_min_share
from mt_grpo_recipe.algorithm.task_weights.dump import UpperConfidenceWeights
from mt_grpo_recipe.algorithm.task_weights.fixed import FixedWeights
from mt_grpo_recipe.algorithm.task_weights.gdro import RobustWeights
from mt_grpo_recipe.algorithm.task_weights.improvement_aware import ImprovementAwareWeights, improvement_scores
from mt_grpo_recipe.algorithm.task_weights.logits import fill_unmeasured, logit_gradient
from mt_grpo_recipe.algorithm.task_weights.regularized import RegularizedWeights
from mt_grpo_recipe.algorithm.task_weights.sec import SelfEvolvingWeights
from mt_grpo_recipe.algorithm.task_weights.sequential import SequentialWeights
from mt_grpo_recipe.algorithm.task_weights.targets import TargetWeights
from mt_grpo_recipe.algorithm.tracked_accuracy import AccuracyTracker

__all__ = [
    "FixedWeights",
    "ImprovementAwareWeights",
    "RegularizedWeights",
    "RobustWeights",
    "SelfEvolvingWeights",
    "SequentialWeights",
    "Signal",
    "TargetWeights",
    "UpperConfidenceWeights",
    "WeightRule",
    "fill_unmeasured",
    "improvement_scores",
    "logit_gradient",
    "make_rule",
    "softmax",
    "with_min_share",
]


def make_rule(
    settings: RuleSettings, tasks: Sequence[str], tracked: AccuracyTracker, rows_K: Sequence[int] | None = None
) -> WeightRule:
    """Make the rule that these settings are for.

    Args:
        settings: one of the dataclasses of `settings.RULES`.
        tasks: names of the K tasks.
        tracked: their accuracies, which the caller keeps up to date.
        rows_K: data rows of each task, length K; `proportional` reads them.

    Raises:
        SettingError: the settings do not fit the tasks.
        ValueError: the rule reads the rows, and they are not given.
    """
    settings.check_min_share(len(tasks))
    if isinstance(settings, ProportionalSettings) and rows_K is None:
        raise ValueError("weights.rule=proportional needs the rows of data of each task")
    return _rule_of(settings, tasks, tracked, rows_K)


def _rule_of(
    settings: RuleSettings, tasks: Sequence[str], tracked: AccuracyTracker, rows_K: Sequence[int] | None
) -> WeightRule:
    num_tasks = len(tasks)
    match settings:
        case FixedSettings():
            return FixedWeights(as_vector(settings.initial_of(num_tasks)))
        case ProportionalSettings():
            return FixedWeights(np.asarray(rows_K, dtype=np.float64))
        case SequentialSettings():
            return SequentialWeights(num_tasks, settings.stages_of(tasks), settings.stage_steps)
        case CurriculumSettings():
            return SelfEvolvingWeights(num_tasks, settings.alpha, settings.temperature)
        case RegularizedSettings():
            return RegularizedWeights(num_tasks, settings.learning_rate, settings.eta)
        case ImprovementAwareSettings():
            return ImprovementAwareWeights(
                num_tasks, settings.learning_rate, settings.weight_decay, settings.trade_off, settings.improvement_clip
            )
        case DumpSettings():
            return UpperConfidenceWeights(num_tasks, settings.temperature, settings.window)
        case RobustSettings():
            return RobustWeights(num_tasks, settings.sharpness, settings.loss_decay, settings.exploration)
        case TargetsSettings():
            return TargetWeights(settings, tasks, tracked)
