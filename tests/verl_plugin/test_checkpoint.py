"""The controller's file in a checkpoint folder, and verl's marker."""

import json

import pytest

from mt_grpo_recipe.verl_plugin.checkpoint import (
    MARKER,
    STATE_FILE,
    read_state,
    repair_marker,
    write_state,
)


def test_what_is_written_is_read_back_exactly(tmp_path):
    state = {"weights": [0.1, 1 / 3], "rng": 2**127 + 1, "tasks": ["é_a/b"]}
    write_state(tmp_path / "global_step_3", state)
    assert read_state(tmp_path / "global_step_3") == state
    assert [path.name for path in (tmp_path / "global_step_3").iterdir()] == [STATE_FILE]


def test_a_failed_write_leaves_the_old_state(tmp_path):
    write_state(tmp_path, {"step": 1})
    with pytest.raises(TypeError):
        write_state(tmp_path, {"step": object()})
    assert json.loads((tmp_path / STATE_FILE).read_text()) == {"step": 1}


def test_a_checkpoint_of_another_trainer_is_refused_in_words(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"was not written by trainer mode mt_grpo.*resume_mode=disable"):
        read_state(tmp_path)


def test_a_marker_left_empty_by_a_kill_names_the_newest_checkpoint(tmp_path, caplog):
    for step in (2, 10, 9):
        write_state(tmp_path / f"global_step_{step}", {})
    (tmp_path / MARKER).write_text("")
    repair_marker(tmp_path)
    assert (tmp_path / MARKER).read_text() == "10"
    assert "left empty by a kill" in caplog.text


def test_a_marker_that_stands_or_was_never_there_is_left_alone(tmp_path):
    write_state(tmp_path / "global_step_4", {})
    repair_marker(tmp_path)
    assert not (tmp_path / MARKER).exists()
    (tmp_path / MARKER).write_text("2")
    repair_marker(tmp_path)
    assert (tmp_path / MARKER).read_text() == "2"


def test_an_empty_marker_without_any_checkpoint_means_a_fresh_start(tmp_path):
    (tmp_path / MARKER).write_text("")
    repair_marker(tmp_path)
    assert not (tmp_path / MARKER).exists()
