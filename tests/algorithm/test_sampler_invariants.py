"""What must hold at the end of any step of either sampler, whatever comes back and in whatever order."""

from __future__ import annotations

import os
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers import Step, make_sampler
from mt_grpo_recipe.algorithm.settings import SCHEDULES, MTGRPOConfig, RoundsSettings, StreamingSettings

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False)
FAILED = FAILED_GROUP
SOAK_STEPS = int(os.environ.get("MT_GRPO_SOAK_STEPS", "2000"))
"""Steps of the adversarial run; 100000 take minutes."""


def check(run, quota_K, batch_size, config):
    """Check one finished step."""
    selection, num_tasks = run.selection, len(quota_K)
    assert quota_K.sum() == batch_size
    assert len(run.task_of) <= config.budget(batch_size)
    assert len(run.asks) <= config.budget(batch_size)
    assert selection.rounds == len(run.asks)

    ids = selection.launch_ids
    assert len(ids) <= batch_size
    assert ids == sorted(set(ids))
    assert {run.outcome_of[i] for i in ids} <= {KEPT}
    chosen_K = np.bincount([run.task_of[i] for i in ids], minlength=num_tasks)
    assert selection.chosen_K.tolist() == chosen_K.tolist()
    assert selection.shortfall_K.tolist() == np.maximum(quota_K - chosen_K, 0).tolist()
    assert selection.launched_K.tolist() == np.bincount(run.task_of, minlength=num_tasks).tolist()
    ended = [task for task, outcome in zip(run.task_of, run.outcome_of, strict=True) if outcome not in (None, FAILED)]
    assert selection.finished_K.tolist() == np.bincount(ended, minlength=num_tasks).tolist()

    kept = [i for i, outcome in enumerate(run.outcome_of) if outcome is KEPT]
    by_task = config.fills_by_task
    short_K = chosen_K < quota_K if by_task else np.array([len(ids) < batch_size])
    if config.ratio and (chosen_K > quota_K).any():
        # More than its quota only where another task fell short and has everything it had in the batch.
        kept_K = np.bincount([run.task_of[i] for i in kept], minlength=num_tasks)
        assert short_K.any()
        assert (chosen_K[short_K] == kept_K[short_K]).all()
    # A batch smaller than B means there was nothing more to put in.
    assert len(ids) == batch_size or ids == kept

    in_flight = [i for i, outcome in enumerate(run.outcome_of) if outcome is None]
    if short_K.any():
        assert not in_flight, "the step gave up although a group in flight could have helped"
    for i in in_flight:
        # No group was passed over: those in flight were launched after every chosen one that they could replace.
        rivals = [j for j in ids if not by_task or run.task_of[j] == run.task_of[i]]
        assert all(j < i for j in rivals)


def check_budget(run, budget):
    """Check one finished step of the budget sampler: the whole budget at once, and nothing informative lost."""
    assert len(run.task_of) == budget and len(run.asks) == 1
    assert run.selection.launch_ids == [i for i, outcome in enumerate(run.outcome_of) if outcome is KEPT]
    assert run.selection.left == []


def check_drained(sampler, run, rng):
    """Surplus groups that end after the step is done change nothing."""
    for i, outcome in enumerate(run.outcome_of):
        if outcome is None:
            sampler.tell(i, (KEPT, FILTERED, FAILED)[rng.integers(3)])
    assert sampler.done
    assert sampler.in_flight == 0
    assert sampler.ask() == []
    assert sampler.select().launch_ids == run.selection.launch_ids


@st.composite
def steps(draw):
    num_tasks = draw(st.integers(1, 8))
    raw = draw(st.lists(st.floats(0, 1), min_size=num_tasks, max_size=num_tasks).filter(lambda w: sum(w) > 1e-3))
    drop = draw(st.booleans())
    streaming = draw(st.booleans())
    own = {"max_inflight": draw(st.floats(1, 4)), "safety_margin": draw(st.floats(0, 2))} if streaming else {}
    return {
        "weights_K": np.array(raw) / sum(raw),
        "batch_size": draw(st.integers(1, 24)),
        "config": (StreamingSettings if streaming else RoundsSettings)(
            drop_uninformative=drop,
            ratio=drop and draw(st.booleans()),
            quota=draw(st.sampled_from(["multinomial", "stratified", "rounded"])),
            oversample=draw(st.floats(1, 4)),
            inflate=draw(st.booleans()),
            max_inflation=draw(st.floats(1, 10)),
            max_resample_rounds=draw(st.integers(0, 6)),
            **own,
        ),
        "kept": draw(st.lists(st.floats(0, 1), min_size=num_tasks, max_size=num_tasks)),
        "failed": draw(st.sampled_from([0.0, 0.0, 0.1, 1.0])),
        "broken": draw(st.lists(st.integers(0, num_tasks - 1), unique=True)),
        "seed": draw(st.integers(0, 2**32)),
    }


@settings(deadline=None, max_examples=300)
@given(step=steps())
def test_invariants(step, drive):
    rng = np.random.default_rng(step["seed"])
    tracker = AcceptanceTracker(len(step["weights_K"]), decay=0.5)
    for _ in range(2):  # the second step starts from what the first one learned
        given = (step["weights_K"], tracker, step["config"], step["batch_size"], rng)
        sampler = make_sampler(Step(*given, broken=step["broken"]))

        def answer(launch_id, task):
            if rng.random() < step["failed"]:
                return FAILED
            return KEPT if rng.random() < step["kept"][task] else FILTERED

        run = drive(sampler, answer, rng)
        check(run, sampler.quota_K, step["batch_size"], step["config"])
        check_drained(sampler, run, rng)
        assert ((tracker.filtered_rate_K >= 0) & (tracker.filtered_rate_K <= 1)).all()


class Adversary:
    """Answers that change their character from step to step, to catch a sampler that trusts what it learned."""

    MOODS = ("fair", "never", "always", "broken", "late", "early", "one task never", "alternate")

    def __init__(self, rng, num_tasks):
        self._rng = rng
        self._mood = str(rng.choice(np.array(self.MOODS)))
        self._rates = rng.random(num_tasks) ** 2
        self._turn = int(rng.integers(1, 100))

    def __call__(self, launch_id, task):
        if self._mood == "never" or (self._mood == "one task never" and task == 0):
            return FILTERED
        if self._mood == "always":
            return KEPT
        if self._mood == "broken":
            return FAILED if self._rng.random() < 0.9 else KEPT
        if self._mood in ("late", "early"):
            return KEPT if (launch_id >= self._turn) == (self._mood == "late") else FILTERED
        if self._mood == "alternate":
            return KEPT if (launch_id // self._turn) % 2 else FILTERED
        return KEPT if self._rng.random() < self._rates[task] else FILTERED


class Order:
    """Which group in flight ends next: any, the newest, or the oldest."""

    def __init__(self, rng):
        self._rng = rng
        self._how = int(rng.integers(3))

    def integers(self, high):
        return (int(self._rng.integers(high)), high - 1, 0)[self._how]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_adversary_neither_hangs_nor_breaks_a_step(schedule, drive):
    rng = np.random.default_rng(0)
    for step in range(SOAK_STEPS):
        if step % 50 == 0:  # a new run: other tasks, another batch, other settings; its state lives for 50 steps
            num_tasks = int(rng.integers(1, 10))
            batch_size = int(rng.integers(1, 13))
            ratio = bool(rng.random() < 0.8)
            given = {
                "ratio": ratio,
                "drop_uninformative": bool(ratio or rng.random() < 0.7),
                "oversample": float(rng.uniform(1, 3)),
                "max_resample_rounds": int(rng.integers(0, 5)),
                "max_inflight": float(rng.uniform(1, 4)),
            }
            own = {field.name for field in fields(SCHEDULES[schedule])}
            config = SCHEDULES[schedule](**{name: value for name, value in given.items() if name in own})
            names = [f"task {k}" for k in range(num_tasks)]
            controller = TaskController(names, batch_size, MTGRPOConfig(sampler=config, seed=step))
        sampler = controller.begin_step()
        run = drive(sampler, Adversary(rng, num_tasks), Order(rng))
        if schedule == "budget":
            check_budget(run, batch_size)
        else:
            check(run, sampler.quota_K, batch_size, config)
        controller.observe(run.selection)
        controller.update_weights(rng.normal(size=num_tasks))
        assert controller.weights_K.sum() == pytest.approx(1)
