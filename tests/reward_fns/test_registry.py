"""Registering tasks: names, duplicates, what reaches a task, and what a failing task does."""

import logging
import sys
from pathlib import Path

import pytest

from reward_fns import compute_score, known_tasks, register, registry
from reward_fns.registry import RewardModuleError


@pytest.fixture(autouse=True)
def scratch_registry(monkeypatch):
    monkeypatch.setattr(registry, "_tasks", dict(known_tasks()))


def test_the_built_in_tasks_are_found_without_a_list():
    assert {"countdown", "zebra", "arc"} <= set(known_tasks())


def test_a_duplicate_name_is_refused_and_both_places_are_named():
    with pytest.raises(ValueError, match=r"'zebra' is registered twice: by reward_fns\.zebra\..* and by .*other"):

        @register("zebra")
        def other(answer, truth, **context):
            return True


@pytest.mark.parametrize("name", ["", " zebra", "a b", "rg:x", "a-", "-a", "n\u00e4me"])
def test_names_that_cannot_be_found_again_are_refused(name):
    with pytest.raises(ValueError, match="cannot name a reward task"):
        register(name)(lambda answer, truth, **context: True)


def test_a_function_that_cannot_take_the_context_is_refused_at_once():
    with pytest.raises(TypeError, match=r"must end in \*\*context"):
        register("bare")(lambda answer, truth: True)


def test_no_name_is_refused():
    with pytest.raises(ValueError, match="at least one task name"):
        register()


def test_register_without_parentheses_is_refused():
    with pytest.raises(
        TypeError, match=r'@register above .*mine lacks the name of its task: write @register\("my-task"'
    ):

        @register
        def mine(answer, truth, **context):
            return True


@pytest.mark.parametrize("name", [["mine"], None, 3, b"mine"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match="takes each task name as text of its own, and got "):
        register(name)


def test_the_longest_name_wins():
    register("zebra-nova")(lambda answer, truth, **context: answer == "nova")
    register("zebra-nova-2")(lambda answer, truth, **context: answer == "nova two")
    truth = {"target": "carol"}
    assert compute_score("zebra-nova-train", r"\boxed{nova}", truth)["acc"] == 1.0
    assert compute_score("zebra-nova-2-train", r"\boxed{nova two}", truth)["acc"] == 1.0
    assert compute_score("zebra-novae-train", r"\boxed{carol}", truth)["acc"] == 1.0


def test_reward_kwargs_and_the_row_reach_the_task():
    seen = {}

    @register("curious")
    def curious(answer, truth, **context):
        seen.update(context, truth=truth)
        return True

    compute_score("curious-train", r"\boxed{1}", "t", {"index": 4}, tolerance=0.5)
    assert seen == {"truth": "t", "data_source": "curious-train", "extra_info": {"index": 4}, "tolerance": 0.5}


def test_a_check_that_fails_is_logged_and_counts_as_wrong(caplog):
    @register("broken")
    def broken(answer, truth, **context):
        raise KeyError("oops")

    with caplog.at_level(logging.ERROR):
        assert compute_score("broken", r"\boxed{1}", "t") == {"score": 0.1, "acc": 0.0, "format": 1.0}
    assert "broken" in caplog.text and "counted as wrong" in caplog.text and "oops" in caplog.text


@pytest.mark.parametrize("verdict", [0.5, 1, None, "yes"])
def test_a_check_that_returns_no_verdict_is_refused(verdict):
    register(f"graded-{verdict}")(lambda answer, truth, **context: verdict)
    with pytest.raises(TypeError, match=f"must return True or False, and returned {verdict!r}. For partial credit"):
        compute_score(f"graded-{verdict}", r"\boxed{1}", "t")
    assert compute_score(f"graded-{verdict}", "no box", "t")["score"] == 0.0


def test_an_entry_point_that_does_not_load_is_named(monkeypatch):
    class Lost:
        name, value = "lost", "no_such_package:rewards"

        def load(self):
            raise ModuleNotFoundError("No module named 'no_such_package'")

    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [Lost()])
    with pytest.raises(RewardModuleError, match="'lost' = 'no_such_package:rewards' does not load") as refused:
        registry._load_entry_points()
    assert isinstance(refused.value.__cause__, ModuleNotFoundError)


MODULE = """from reward_fns import register

@register("late", "later")
def late(answer, truth, **context):
    return True

import no_such_package
"""


def test_a_module_that_fails_after_it_has_registered_shows_its_own_error_each_time(monkeypatch, tmp_path):
    (tmp_path / "late_rewards.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    entry_point = registry.metadata.EntryPoint("late", "late_rewards", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [entry_point])
    for _ in range(3):
        with pytest.raises(
            RewardModuleError,
            match=r"'late' = 'late_rewards' does not load: \S+late_rewards.py, line 7: ModuleNotFoundError: No module "
            r"named 'no_such_package'; install what brings 'no_such_package', .* uninstall the package that brings it",
        ):
            registry._load_entry_points()
    monkeypatch.setitem(sys.modules, "no_such_package", sys)
    registry._load_entry_points()
    assert compute_score("late", r"\boxed{1}", "t")["acc"] == 1.0
    with pytest.raises(ValueError, match="'later' is registered twice"):
        register("later")(lambda answer, truth, **context: True)
    sys.modules.pop("late_rewards")


def test_every_file_of_the_package_but_two_is_a_task():
    files = {path.stem for path in Path(registry.__file__).parent.glob("*.py")}
    of_tasks = {task.check.__module__ for task in known_tasks().values()}
    assert {f"reward_fns.{name}" for name in files - {"__init__", "registry"}} == of_tasks
