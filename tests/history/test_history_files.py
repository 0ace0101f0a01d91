"""The history of a run on disk: what survives a kill, and which files are refused with a message."""

import json

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, judge
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.history.files import DECISIONS, OUTCOMES, StepFile
from mt_grpo_recipe.history.reading import HistoryError, read_history
from mt_grpo_recipe.history.record import History, RecordedGroup, Timeline, outcomes_of

MIXED = {"sampler": {"schedule": "rounds", "max_resample_rounds": 0}}


def write_steps(folder, steps, config=None, start=0, outcomes=True):
    """A run of two tasks, each step one round of six groups, resumed after step `start`."""
    config = load_config(config or MIXED)
    controller = TaskController(["a", "b"], 2, config)
    history = History(folder, controller, config, outcomes)
    history.resume(start)
    for step in range(start + 1, steps + 1):
        sampler, timeline = controller.begin_step(), Timeline()
        count = len(sampler.ask())
        timeline.launch(count)
        timeline.end(range(count), tick=7)
        for launch_id in range(count):
            sampler.tell(launch_id, judge([1.0, 0.0], [True, False], config.sampler, tokens=5))
        selection = sampler.select()
        controller.observe(selection)
        history.append(step, controller.weights_K, selection, timeline, [step] * count)
    return history


def test_a_timeline_counts_launches_from_the_last_end():
    timeline = Timeline()
    timeline.launch(2)
    timeline.end([1], tick=30)
    timeline.launch(1)
    timeline.end([0], tick=30)
    timeline.launch(1)
    # Ends that were seen apart stay apart, even within one millisecond.
    assert timeline.launched == [0, 0, 30, 31] and timeline.ended == {1: 30, 0: 31}


def test_what_is_kept_of_a_group_gives_its_result_under_any_settings():
    strict, lenient, off = (
        load_config({"sampler": {"schedule": "rounds", "ratio": False, **settings}}).sampler
        for settings in ({}, {"informative": "spread"}, {"drop_uninformative": False})
    )
    controller = TaskController(["a"], 4, load_config({"sampler": {"schedule": "rounds", "oversample": 1}}))
    sampler, timeline = controller.begin_step(), Timeline()
    assert len(sampler.ask()) == 4
    timeline.launch(4)
    given = [([1.0, 0.1, 0.1], [True, False, False]), ([0.1, 0.0], [False] * 2), ([1.0] * 2, [True] * 2)]
    for launch_id, (rewards, correct) in enumerate(given):
        sampler.tell(launch_id, judge(rewards, correct, strict, tokens=9))
    sampler.tell(3, FAILED_GROUP)
    timeline.end(range(4), tick=1)
    columns = outcomes_of(sampler.select().groups, timeline)
    assert (
        columns["accuracy"] == [1 / 3, 0.0, 1.0, 0.0]
        and columns["rollouts"] == [3, 2, 2, 0]
        and columns["spread"] == [1, 1, 0, 0]
    )
    groups = [RecordedGroup(*values) for values in zip(*columns.values(), strict=True)]
    for settings in (strict, lenient, off):
        assert [group.result(settings) for group in groups] == [
            *(judge(rewards, correct, settings, tokens=9) for rewards, correct in given),
            FAILED_GROUP,
        ]


def test_the_history_of_a_resumed_run_follows_on_what_was_before_its_checkpoint(tmp_path):
    history = write_steps(tmp_path, 3)
    before = {name: (tmp_path / name).read_text() for name in (DECISIONS, OUTCOMES)}
    for name, text in before.items():
        (tmp_path / name).write_text(text + text[:9])
    history.resume(2)
    for name, text in before.items():
        assert (tmp_path / name).read_text() == "".join(text.splitlines(keepends=True)[:-1])
        # The step that is done again.
        last = json.loads(text.splitlines()[-1])
        StepFile(tmp_path / name).append(last.pop("step"), last)
        assert (tmp_path / name).read_text() == text


def test_a_history_is_read_back(tmp_path):
    write_steps(tmp_path / "checkpoints", 3)
    run = read_history(tmp_path)
    assert run == read_history(tmp_path / "checkpoints")
    assert (run.tasks, run.batch_size, run.seed, len(run.steps)) == (["a", "b"], 2, 0, 3)
    assert run.sampler["schedule"] == "rounds" and run.sampler["max_resample_rounds"] == 0
    assert run.steps[0].weights == [0.5, 0.5] and sum(run.steps[0].quota) == 2 == len(run.steps[0].chosen)
    assert len(run.steps[0].groups) == 6
    assert run.steps[0].groups[0][1:] == (0, 7, 0.5, 2, 1, 5)
    assert np.mean([group.task for step in run.steps for group in step.groups]) == 0.5


def test_the_bound_of_residual_weights_is_recorded_and_assumed_of_runs_that_lack_it(tmp_path):
    write_steps(tmp_path, 2, {"max_loss_weight": 1.5})
    assert read_history(tmp_path).max_loss_weight == 1.5
    write_steps(tmp_path, 2)
    changed(tmp_path / OUTCOMES, 0, max_loss_weight=None)
    assert read_history(tmp_path).max_loss_weight == 5.0
    write_steps(tmp_path, 4, start=2)
    assert len(read_history(tmp_path).steps) == 4, "resumed with a version that records it"


@pytest.mark.parametrize("name", [DECISIONS, OUTCOMES])
def test_a_last_step_of_which_one_file_knows_nothing_is_left_out(tmp_path, name):
    write_steps(tmp_path, 3)
    lines = (tmp_path / name).read_text().splitlines(keepends=True)
    (tmp_path / name).write_text("".join(lines[:-1]) + lines[-1][:20])
    assert len(read_history(tmp_path).steps) == 2


def test_a_run_without_files_is_refused(tmp_path):
    with pytest.raises(HistoryError, match=r"no decisions\.jsonl in .*trainer\.default_local_dir"):
        read_history(tmp_path)


def test_a_run_of_an_earlier_version_or_beside_training_is_refused(tmp_path):
    write_steps(tmp_path, 2, outcomes=False)
    assert not (tmp_path / OUTCOMES).exists()
    with pytest.raises(HistoryError, match=r"no outcomes\.jsonl.*earlier version.*mt_grpo_async writes none"):
        read_history(tmp_path)


def test_a_history_without_its_first_line_or_a_column_is_refused(tmp_path):
    write_steps(tmp_path, 3)
    path = tmp_path / "outcomes.jsonl"
    header, *steps = path.read_text().splitlines(keepends=True)
    path.write_text("".join(steps))
    with pytest.raises(HistoryError, match="does not begin with the settings"):
        read_history(tmp_path)
    path.write_text(header + steps[0] + json.dumps({"step": 2}) + "\n" + steps[2])
    with pytest.raises(HistoryError, match="step 2 of the history is not whole: 'task'"):
        read_history(tmp_path)


def test_another_format_is_refused(tmp_path):
    write_steps(tmp_path, 2)
    path = tmp_path / OUTCOMES
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(HistoryError, match="is of format 2, this version of mt-grpo-recipe reads format 1"):
        read_history(tmp_path)


def test_a_run_resumed_from_an_earlier_version_is_refused(tmp_path):
    write_steps(tmp_path, 3, outcomes=False)
    write_steps(tmp_path, 6, start=3)
    with pytest.raises(HistoryError, match=r"decisions are recorded for steps 1 to 6, outcomes for steps 4 to 6"):
        read_history(tmp_path)


def test_a_run_resumed_with_other_settings_is_refused(tmp_path):
    write_steps(tmp_path, 2)
    write_steps(tmp_path, 4, start=2)
    assert len(read_history(tmp_path).steps) == 4
    write_steps(tmp_path, 6, {"sampler": {"schedule": "rounds", "oversample": 2}}, start=4)
    with pytest.raises(HistoryError, match="were changed when the run was resumed after step 4"):
        read_history(tmp_path)


def test_a_fresh_start_with_other_settings_in_the_same_folder_leaves_nothing_of_the_old_run(tmp_path):
    write_steps(tmp_path, 2)
    write_steps(tmp_path, 3, {"sampler": {"schedule": "rounds", "oversample": 2}})
    run = read_history(tmp_path)
    assert len(run.steps) == 3 and run.sampler["oversample"] == 2
    write_steps(tmp_path, 4, start=3)
    with pytest.raises(HistoryError, match="were changed when the run was resumed after step 3"):
        read_history(tmp_path)


def test_a_run_that_has_only_begun_is_refused(tmp_path):
    write_steps(tmp_path, 0)
    (tmp_path / DECISIONS).touch()
    with pytest.raises(HistoryError, match="holds no step yet"):
        read_history(tmp_path)


def changed(path, line, **values):
    """Write a line of a history anew with other values; None leaves a field out."""
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    rows[line] = {name: value for name, value in {**rows[line], **values}.items() if value is not None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("name", [DECISIONS, OUTCOMES])
@pytest.mark.parametrize("line", ["5", "[]", "null", "{}", '{"step": "1"}', '{"step": true}', '{"step": -1}'])
def test_a_line_that_is_of_no_step_is_named_with_its_file_by_reader_and_resumed_run(tmp_path, name, line):
    history = write_steps(tmp_path, 2)
    path = tmp_path / name
    path.write_text(path.read_text() + line + "\n")
    words = rf"{name}, line {len(path.read_text().splitlines())}, is no object with a whole number `step`: .*"
    with pytest.raises(ValueError, match=words):
        read_history(tmp_path)
    with pytest.raises(ValueError, match=words):
        history.resume(2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seed": None}, "seed, which must be a whole number, 0 or more, is missing"),
        ({"seed": -1}, "seed, which must be a whole number, 0 or more, is -1"),
        ({"batch_size": True}, "batch_size, which must be a whole number, 1 or more, is True"),
        ({"tasks": 5}, "tasks, which must be a list of names, is 5"),
        ({"tasks": [["a"]]}, r"tasks, which must be a list of names, is \[\['a'\]\]"),
        ({"rewards": []}, r"rewards, which must be an object, is \[\]"),
        ({"sampler": {"quota": "rounded"}}, "sampler, which must be an object with a `schedule`, is "),
        ({"loss_weighting": 1}, "loss_weighting, which must be text, is 1"),
        ({"max_loss_weight": 0.5}, "max_loss_weight, which must be a number, 1 or more, is 0.5"),
        ({"colour": "red"}, "it has colour, which this version does not know"),
    ],
)
def test_settings_of_another_shape_are_refused(tmp_path, values, words):
    write_steps(tmp_path, 2)
    changed(tmp_path / OUTCOMES, 0, **values)
    with pytest.raises(HistoryError, match=rf"outcomes\.jsonl: the settings of the run are not whole: {words}"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "values"),
    [
        (OUTCOMES, 2, {"task": 5}),
        (OUTCOMES, 2, {"task": ["a"] * 6}),
        (OUTCOMES, 2, {"task": [2] * 6}),
        (OUTCOMES, 2, {"ended": ["x"] * 6}),
        (DECISIONS, 1, {"weights": None}),
        (DECISIONS, 1, {"weights": 5}),
        (DECISIONS, 1, {"weights": [1.0]}),
    ],
)
def test_a_step_of_another_shape_is_refused(tmp_path, name, line, values):
    write_steps(tmp_path, 3)
    changed(tmp_path / name, line, **values)
    with pytest.raises(HistoryError, match=rf"step 2 of the history is not whole: .*{next(iter(values))}"):
        read_history(tmp_path)
