"""Task names of rows, and the loader that hands out prompts by task."""

import json

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.controller import StateMismatch
from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.task_loader import TaskLoader, group_rows, task_name

ROW = {"data_source": "countdown-medium-train", "extra_info": {"difficulty": 2, "type": "countdown", "task": "x_y"}}


def make_loader(seed=0, sizes=(4, 2), digests=("d0", "d1")):
    starts = np.cumsum([0, *sizes])
    rows_of = {f"task {k}": np.arange(starts[k], starts[k + 1]) for k in range(len(sizes))}
    digest_of = dict(zip(rows_of, digests, strict=True))
    return TaskLoader(rows_of, lambda row: {"row": row}, lambda rows: {"rows": rows}, seed, digest_of)


def draw(loader, tasks):
    loader.request(tasks)
    return [next(loader)["rows"][0]["row"] for _ in tasks]


def test_task_name_joins_the_fields():
    assert task_name(ROW, ["extra_info.task"]) == "x_y"
    assert task_name(ROW, ["extra_info.difficulty", "extra_info.type"]) == "2-countdown"
    assert task_name(ROW, ["data_source"]) == "countdown-medium-train"


@pytest.mark.parametrize("field", ["extra_info.level", "level", "data_source.level"])
def test_a_missing_field_is_refused_and_what_there_is_is_listed(field):
    with pytest.raises(ConfigError, match=r"mt_grpo\.task_key=.*level.*Name fields that every row has"):
        task_name(ROW, [field])


@pytest.mark.parametrize("value", ["", " ", " arc", "arc\n", ["a", "b"], {"a": 1}, float("nan"), b"arc"])
def test_a_name_that_is_blank_or_no_text_is_refused_and_shown(value):
    with pytest.raises(ConfigError, match=r"names the field 'extra_info\.task', which is .* of type .*is text with no"):
        task_name({"extra_info": {"task": value}}, ["extra_info.task"])


def test_a_number_can_be_a_name():
    row = {"level": np.int64(2), "kind": "a b", "size": 0.5}
    assert task_name(row, ["level", "kind", "size"]) == "2-a b-0.5"


def test_rows_are_grouped_in_the_order_asked_for():
    assert list(group_rows(["b", "a", "b"], None)) == ["b", "a"]
    chosen = group_rows(["b", "a", "b", "c"], ["a", "b"])
    assert {task: rows.tolist() for task, rows in chosen.items()} == {"a": [1], "b": [0, 2]}


def test_a_task_without_rows_is_refused_with_the_tasks_there_are():
    with pytest.raises(ConfigError, match=r"names \['zebra'\].*The data has: \['a', 'b'\]"):
        group_rows(["b", "a"], ["a", "zebra"])
    with pytest.raises(ConfigError, match="no row"):
        group_rows([], None)


def test_every_task_goes_through_its_rows_without_replacement_then_starts_a_new_order():
    loader = make_loader(sizes=(50, 2))
    first, second = draw(loader, [0] * 50), draw(loader, [0] * 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert sorted(draw(loader, [1, 1, 1, 1])) == [50, 50, 51, 51]


def test_prompts_come_in_the_order_requested_and_only_when_requested():
    loader = make_loader()
    rows = draw(loader, [1, 0, 1, 0])
    assert [row >= 4 for row in rows] == [True, False, True, False]
    with pytest.raises(RuntimeError, match="before a task was requested"):
        next(loader)


def test_a_resumed_loader_draws_the_same_rows_and_other_seeds_draw_others():
    loader = make_loader(sizes=(30, 30))
    draw(loader, [0, 1, 1, 0] * 9)
    state = json.loads(json.dumps(loader.state_dict()))
    resumed = make_loader(sizes=(30, 30))
    resumed.load_state_dict(state)
    wanted = [0, 1] * 40
    assert draw(resumed, wanted) == draw(loader, wanted)
    assert draw(make_loader(seed=1, sizes=(30, 30)), wanted) != draw(make_loader(sizes=(30, 30)), wanted)


def test_the_state_of_other_data_is_refused():
    state = make_loader(sizes=(4, 2)).state_dict()
    with pytest.raises(StateMismatch, match=r"rows .*'task 1': 2.*this run has .*'task 1': 3"):
        make_loader(sizes=(4, 3)).load_state_dict(state)


def test_as_many_rows_of_other_content_are_refused_and_their_task_is_named():
    state = json.loads(json.dumps(make_loader().state_dict()))
    with pytest.raises(
        StateMismatch, match="The training rows of task 1 are as many as in the checkpoint, but not the"
    ):
        make_loader(digests=("d0", "e1")).load_state_dict(state)
    make_loader().load_state_dict(state)
