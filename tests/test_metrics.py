"""The catalogue of metrics: complete, the only place of their names, shown by METRICS.md; and names of tasks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt_grpo_recipe import metrics
from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import GroupResult, Outcome
from mt_grpo_recipe.algorithm.settings import RULES, MTGRPOConfig
from mt_grpo_recipe.metrics import (
    ADVANTAGE,
    HELD_GROUPS,
    IMPROVEMENT,
    LOSS_WEIGHT,
    METRICS,
    STALE_GROUPS,
    TASK_METRICS,
    TIMING,
    Metric,
    is_step_metric,
    task_slugs,
)
from mt_grpo_recipe.report.read.log import read_runs

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mt_grpo_recipe"

TARGETS = (metrics.SHORT_OF, metrics.UNMET, metrics.OUT_OF_REACH)
"""What the rule `targets` alone logs."""

HOSTILE = [
    "_",
    "-",
    "/",
    "a/b",
    "a_b",
    "a-b",
    "a b",
    "min",
    "sum",
    "  ",
    "",
    "数独",
    "größe",
    "a-b-2",
    "a.b",
    "\n",
    "__a__",
]


def test_every_metric_is_listed_once():
    defined = [value for value in vars(metrics).values() if isinstance(value, Metric)]
    assert list(METRICS) == defined
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_names_are_those_that_logs_are_read_by():
    assert metrics.WEIGHT.of("2-countdown") == "mt_grpo/weight/2-countdown"
    assert metrics.ROUNDS.name == "mt_grpo/rounds"
    assert metrics.WORST_TASK_ACCURACY.name == "val-core/mt_grpo/worst_task_acc"
    assert metrics.AVERAGE_ACCURACY.name == "val-core/mt_grpo/avg_acc"
    assert metrics.TASK_ACCURACY.of("arc") == "val-core/mt_grpo/acc/arc"
    assert metrics.POLL_SECONDS.name == "timing_s/mt_grpo_poll"
    assert is_step_metric("mt_grpo/rounds") and not is_step_metric("val-core/mt_grpo/avg_acc")


@pytest.mark.parametrize(("rule", "signal"), [("fixed", None), ("improvement_aware", IMPROVEMENT), ("sec", ADVANTAGE)])
def test_the_controller_logs_what_the_catalogue_lists_per_task(rule, signal):
    controller = TaskController(["a", "b"], 8, MTGRPOConfig(weights=RULES[rule]()))
    sampler = controller.begin_step()
    for launch_id in range(len(sampler.ask())):
        sampler.tell(launch_id, GroupResult(Outcome.INFORMATIVE, 0.5, spread=True))
    controller.observe(sampler.select())
    controller.update_weights(np.array([0.1, 0.2]))
    # The controller does not log what only the update knows.
    of_some = (IMPROVEMENT, ADVANTAGE, LOSS_WEIGHT, metrics.OWED, metrics.ADVANTAGE_MASS, *TARGETS)
    always = TASK_METRICS.keys() - {metric.key for metric in of_some}
    assert controller.metrics().keys() == always | ({signal.key} if signal else set())


def test_the_rule_of_targets_logs_of_the_tasks_with_bounds_what_the_catalogue_lists():
    settings = RULES["targets"](targets={"a": 0.9})
    controller = TaskController(["a", "b"], 8, MTGRPOConfig(weights=settings))
    sampler = controller.begin_step()
    for launch_id in range(len(sampler.ask())):
        sampler.tell(launch_id, GroupResult(Outcome.INFORMATIVE, 0.5, spread=True))
    controller.observe(sampler.select())
    controller.update_weights(np.full(2, np.nan))
    logged = {metric.key: controller.metrics()[metric.key] for metric in TARGETS}
    assert logged == {"short_of": {"a": pytest.approx(0.4)}, "unmet": {"a": 1}, "out_of_reach": {"a": 0}}


def test_real_training_runs_logged_what_the_catalogue_lists():
    runs, _ = read_runs([ROOT / "run_scripts" / "mini" / "logs"])
    logged = {name for run in runs for data in run.records.values() for name in data}
    ours = {name for name in logged if is_step_metric(name) or "mt_grpo" in name}
    tasks = {task for run in runs for task in run.tasks}
    task_of = {metric.of(task): metric for metric in METRICS for task in tasks if metric.per_task}
    listed = task_of | {metric.name: metric for metric in METRICS if not metric.per_task}
    assert ours <= listed.keys()
    # No run of the asynchronous mode or of the rule `targets` is among them.
    assert {listed[name] for name in logged & listed.keys()} == set(METRICS) - {HELD_GROUPS, STALE_GROUPS, *TARGETS}


def names_of_metrics(source):
    """Strings of a module, except docstrings, that name a metric of the plugin; f-strings by their fixed parts."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    timings = {metric.name.removeprefix(f"{TIMING}/") for metric in METRICS if metric.family == TIMING}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if re.match(r"(val-core/)?mt_grpo/", node.value) or node.value in timings - {IMPROVEMENT.key}:
                yield node.value
        elif isinstance(node, ast.Name | ast.Attribute) and getattr(node, "id", getattr(node, "attr", "")) == "PREFIX":
            yield "PREFIX"


@pytest.mark.parametrize(
    "source", ['log["mt_grpo/rounds"]', 'log[f"mt_grpo/{x}"]', 'log[f"{PREFIX}/x"]', 'timing["mt_grpo_poll"]']
)
def test_a_name_written_by_hand_is_found(source):
    assert list(names_of_metrics(source))


def test_no_name_is_written_outside_the_catalogue():
    files = [file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "metrics.py"]
    assert len(files) > 40
    found = {file.name: names for file in files if (names := list(names_of_metrics(file.read_text(encoding="utf-8"))))}
    assert not found


def test_the_page_is_what_the_command_prints():
    command = [sys.executable, "-m", "mt_grpo_recipe.metrics"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert sum(line.startswith("| `") for line in printed.splitlines()) == len(METRICS)
    assert (PACKAGE / "METRICS.md").read_text(encoding="utf-8") == printed


def test_the_catalogue_needs_the_standard_library_alone():
    code = "import sys, mt_grpo_recipe.metrics; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"numpy", "torch", "omegaconf", "verl", "matplotlib"} & set(loaded.split())


def test_plain_names_stay_as_they_are():
    assert task_slugs(["countdown", "2-zebra", "arc.easy"]) == {
        "countdown": "countdown",
        "2-zebra": "2-zebra",
        "arc.easy": "arc.easy",
    }


def test_names_that_fall_together_get_numbers():
    assert task_slugs(["a/b", "a_b", "a b"]) == {"a/b": "a-b", "a_b": "a-b-2", "a b": "a-b-3"}


def test_a_number_that_is_taken_is_passed_over():
    assert list(task_slugs(["a-b-2", "a/b", "a_b"]).values()) == ["a-b-2", "a-b", "a-b-3"]


@pytest.mark.parametrize("name", ["_", "-", "/", "", "  ", "\n"])
def test_names_of_nothing_but_separators_get_a_word(name):
    assert task_slugs([name]) == {name: "task"}


def test_letters_of_any_language_stay():
    assert task_slugs(["数独", "größe"]) == {"数独": "数独", "größe": "größe"}


@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), unique=True, max_size=12))
def test_slugs_are_distinct_and_safe(tasks):
    slugs = task_slugs(tasks)
    assert list(slugs) == tasks
    assert len(set(slugs.values())) == len(tasks)
    for slug in slugs.values():
        assert re.fullmatch(r"(?:[^\W_]|[.-])+", slug)
