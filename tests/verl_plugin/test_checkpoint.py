"""The controller's file in a checkpoint folder."""

import json

import pytest

from mt_grpo_recipe.verl_plugin.checkpoint import STATE_FILE, read_state, write_state


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
