"""A run of the real controller on tasks with a fate: one learns, the others are solved, hopeless or broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from synthetic import write_log

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, judge
from mt_grpo_recipe.algorithm.settings import FixedSettings, MTGRPOConfig, StreamingSettings
from mt_grpo_recipe.algorithm.step_metrics import gradient_metrics, step_metrics

TASKS = ("learning", "solved", "hopeless", "broken")
ROLLOUTS = 8


def result_of(task: str, step: int, config: MTGRPOConfig, rng: np.random.Generator) -> GroupResult:
    """A group of a task: `solved` is so from step 10 on, `hopeless` and `broken` from the start."""
    right = rng.integers(1, ROLLOUTS) if rng.random() < 0.7 else 0
    if task == "broken":
        return FAILED_GROUP
    if task == "hopeless":
        right = 0
    elif task == "solved" and step >= 10:
        right = ROLLOUTS
    correct = [number < right for number in range(ROLLOUTS)]
    return judge([float(value) for value in correct], correct, config.sampler, tokens=30 * ROLLOUTS)


def write_audited(directory: Path, steps: int = 30) -> Path:
    """Write the run's log."""
    weights = FixedSettings(initial=[0.4, 0.3, 0.2, 0.1])
    sampler = StreamingSettings(quota="stratified", max_resample_rounds=1)
    config = MTGRPOConfig(weights=weights, sampler=sampler)
    controller, rng = TaskController(list(TASKS), 20, config), np.random.default_rng(0)
    lines = []
    for step in range(1, steps + 1):
        sampled, count = controller.begin_step(), 0
        while not sampled.done:
            launched = sampled.ask()
            for launch_id, task in enumerate(launched, start=count):
                sampled.tell(launch_id, result_of(TASKS[task], step, config, rng))
            count += len(launched)
        selection = sampled.select()
        controller.observe(selection)
        slugs = dict(zip(TASKS, TASKS, strict=True))
        data = step_metrics(controller, selection, slugs, skipped=False)
        tokens_K = selection.groups.tokens_K(np.array(selection.launch_ids))
        data |= gradient_metrics(tokens_K * np.array([1.0, 0.5, 1.0, 1.0]), None, TASKS)
        lines.append({"step": step, "data": {**data, "timing_s/step": 1.0}})
    write_log(directory / "metrics.jsonl", lines)
    return directory
