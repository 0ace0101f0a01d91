"""One training run of the miniature comparison in one process: no verl, Ray or vLLM.

    python run_scripts/lab/train.py --method mt_grpo --seed 0 -o outputs/lab/mt_grpo-0 [VERL OVERRIDES...]

With --rollouts it trains until these are spent, however many a step takes, and validates every --validate-rollouts. A
run with mt_grpo.weights.stop_when_met=true ends sooner, once all is met. The run's directory gets what `mt-grpo report`
reads. A finished run is not repeated; any other starts afresh.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from composing import compose_settings
from omegaconf import DictConfig, OmegaConf
from policy import Batch, Policy
from puzzles import PuzzleOrder, of_tasks, read_puzzles
from rollouts import Engine, Group, fill_batch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.selection import Selection
from mt_grpo_recipe.algorithm.step_metrics import gradient_metrics, step_metrics
from mt_grpo_recipe.algorithm.task_weights import Signal
from mt_grpo_recipe.config import ConfigError, MTGRPOConfig, validates_as_it_trains
from mt_grpo_recipe.history.record import History, Timeline
from mt_grpo_recipe.metrics import (
    AVERAGE_ACCURACY,
    TASK_ACCURACY,
    TOTAL_METRICS,
    WORST_TASK_ACCURACY,
    task_slugs,
)

Metrics = dict[str, float]


class Stopwatch:
    """Seconds of processor time by name."""

    def __init__(self) -> None:
        self.seconds: Metrics = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the `with` block to `timing_s/NAME`."""
        start = time.process_time()
        yield
        self.seconds[f"timing_s/{name}"] = self.seconds.get(f"timing_s/{name}", 0.0) + time.process_time() - start


class Laboratory:
    """Model, puzzles and controller of one run.

    Args:
        config: verl's whole training config.
        mt_grpo: its checked section `mt_grpo`.
        data: folder with `train.parquet` and `test.parquet`.
        history: folder that gets `decisions.jsonl` and `outcomes.jsonl`.
    """

    def __init__(self, config: DictConfig, mt_grpo: MTGRPOConfig, data: Path, history: Path):
        model_path, self._rollout = config.actor_rollout_ref.model.path, config.actor_rollout_ref.rollout
        tokenizer = AutoTokenizer.from_pretrained(model_path)
        model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
        train = of_tasks(read_puzzles(data / "train.parquet", tokenizer), mt_grpo.tasks)
        self._test = read_puzzles(data / "test.parquet", tokenizer)
        self._tasks = list(train)
        self._slugs = task_slugs([*self._tasks, *(task for task in self._test if task not in train)])
        self._order = PuzzleOrder(list(train.values()), mt_grpo.seed)
        self._sampler = mt_grpo.sampler
        self._scale_by_std = config.algorithm.norm_adv_by_std_in_grpo
        rows_K = [len(puzzles) for puzzles in train.values()]
        self._controller = TaskController(self._tasks, config.data.train_batch_size, mt_grpo, rows_K=rows_K)
        self._policy = Policy(model, config, len(self._tasks), mt_grpo.improvement.reduction)
        # Two streams of draws: how often a run is validated does not change what it trains on.
        self._engine, self._validation = (
            Engine(
                model, tokenizer, config.data.max_response_length, torch.Generator().manual_seed(seed), mt_grpo.rewards
            )
            for seed in (2 * self._rollout.seed, 2 * self._rollout.seed + 1)
        )
        self._steps = 0
        self._rows: list[int] = []
        self._history = History(history, self._controller, mt_grpo)
        self._history.resume(0)

    @property
    def finished(self) -> bool:
        """Whether all that `mt_grpo.weights` asks for is met, so that the run should end."""
        return self._controller.finished

    @property
    def notices(self) -> list[str]:
        """What the latest step has to tell the user, one sentence each."""
        return self._controller.notices

    def step(self) -> Metrics:
        """One step: fill the batch, update the policy, measure the improvement, move the task weights."""
        watch, timeline = Stopwatch(), Timeline()
        weights_K = self._controller.weights_K
        self._steps += 1
        self._rows.clear()
        with watch.measure("step"):
            with watch.measure("gen"):
                selection, groups = fill_batch(self._controller, self._sampler, self._answer, timeline)
            metrics = self._learn(selection, groups, watch) if groups else {}
            if not groups:
                self._controller.skip_update()
        self._history.append(self._steps, weights_K, selection, timeline, self._rows)
        return metrics | step_metrics(self._controller, selection, self._slugs, skipped=not groups) | watch.seconds

    def _answer(self, tasks: list[int]) -> list[Group]:
        puzzles = [self._order.draw(task) for task in tasks]
        self._rows += [puzzle.row for puzzle in puzzles]
        return self._engine.roll_out(puzzles, self._rollout.n, self._rollout.temperature)

    def _learn(self, selection: Selection, groups: list[Group], watch: Stopwatch) -> Metrics:
        batch = Batch.of(groups, self._tasks, self._scale_by_std)
        loss_weights_K = self._controller.loss_weights_K(selection)
        with watch.measure("update_actor"):
            before_NT, metrics = self._policy.update(batch, loss_weights_K)
        signal_K = np.full(len(self._tasks), math.nan)
        if self._controller.reads is Signal.IMPROVEMENT:
            with watch.measure("improvement"):
                signal_K = self._policy.improvement_K(batch, before_NT)
        elif self._controller.reads is Signal.ADVANTAGE:
            signal_K = self._policy.mean_absolute_advantage_K(batch)
        self._controller.update_weights(signal_K)
        slugs = [self._slugs[task] for task in self._tasks]
        metrics |= gradient_metrics(self._policy.advantage_mass_K(batch), loss_weights_K, slugs)
        metrics["response_length/mean"] = batch.mask_NT.sum(1).float().mean().item()
        return metrics

    def validate(self) -> Metrics:
        """Accuracy of each task on its test puzzles, and the worst and average over those that are trained."""
        options = self._rollout.val_kwargs
        accuracy = {
            task: fmean(group.accuracy for group in self._validation.roll_out(puzzles, options.n, options.temperature))
            for task, puzzles in self._test.items()
        }
        if validates_as_it_trains(self._rollout):
            self._controller.start(accuracy)
        trained = [accuracy[task] for task in self._tasks if task in accuracy]
        metrics = {TASK_ACCURACY.of(self._slugs[task]): value for task, value in accuracy.items()}
        if trained:
            metrics |= {WORST_TASK_ACCURACY.name: min(trained), AVERAGE_ACCURACY.name: fmean(trained)}
        return metrics


def run(lab: Laboratory, steps: int, validate_every: int) -> Iterator[dict[str, Any]]:
    """Train, and yield the lines of the log as verl's file logger writes them.

    Args:
        lab: a model that is not trained yet.
        steps: training steps.
        validate_every: steps between validations; with 0 or less, only the one before training remains.
    """
    yield {"step": 0, "data": lab.validate()}
    for step in range(1, steps + 1):
        metrics = lab.step()
        is_last = step == steps or lab.finished
        if validate_every > 0 and (step % validate_every == 0 or is_last):
            metrics |= lab.validate()
        yield {"step": step, "data": metrics}
        if is_last:
            return


def run_for(lab: Laboratory, rollouts: int, validate_every: int) -> Iterator[dict[str, Any]]:
    """Train until this many rollouts are generated; lines as `run` yields them.

    It validates before training, after the first step at or past each multiple of `validate_every` rollouts, and at the
    end if it ends before these are spent.
    """
    yield {"step": 0, "data": lab.validate()}
    step = spent = validated = 0
    while spent < rollouts and not lab.finished:
        step += 1
        metrics = lab.step()
        spent = int(metrics[TOTAL_METRICS["total_rollouts"].name])
        if spent // validate_every > validated or lab.finished:
            metrics |= lab.validate()
            validated = spent // validate_every
        yield {"step": step, "data": metrics}


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", required=True, help="a file of mt_grpo_recipe/config/mt_grpo")
    parser.add_argument("--name", help="name of the method in the report (METHOD)")
    parser.add_argument("--seed", type=int, default=0, help="of quotas, puzzles and answers (%(default)s)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=80, help="(%(default)s)")
    length.add_argument("--rollouts", type=int, help="train for these instead; trainer.test_freq is not read then")
    parser.add_argument("--validate-rollouts", type=int, default=1920, help="with --rollouts (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("outputs/mini/data"), help="(%(default)s)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="directory of this run")
    parser.add_argument("overrides", nargs="*", help="overrides of verl's command line")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Train one run, unless it has finished."""
    args = read_arguments(arguments)
    name = args.name or args.method
    if (args.out / "finished").exists():
        print(f"{name}, seed {args.seed}: finished already, in {args.out}")
        return 0

    torch.set_num_threads(1)
    disable_progress_bar()
    try:
        config, mt_grpo = compose_settings(args.method, args.seed, args.steps, args.overrides)
        lab = Laboratory(config, mt_grpo, args.data, args.out / "checkpoints")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "run.json").write_text(json.dumps({"method": name, "seed": args.seed}) + "\n")
    OmegaConf.save(config, args.out / "config.yaml")
    if args.rollouts:
        lines = run_for(lab, args.rollouts, args.validate_rollouts)
    else:
        lines = run(lab, config.trainer.total_training_steps, config.trainer.test_freq)
    with (args.out / "metrics.jsonl").open("w") as log:
        for line in lines:
            print(json.dumps(line), file=log, flush=True)
            for notice in lab.notices:
                print(f"step {line['step']}: {notice}", flush=True)
            if WORST_TASK_ACCURACY.name in line["data"]:
                worst, average = (line["data"][metric.name] for metric in (WORST_TASK_ACCURACY, AVERAGE_ACCURACY))
                print(f"step {line['step']}: worst task {100 * worst:.1f} %, average {100 * average:.1f} %", flush=True)
    (args.out / "finished").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
