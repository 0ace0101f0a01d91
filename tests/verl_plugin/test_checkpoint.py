"""The controller's file in a checkpoint folder, and verl's marker."""

import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.state import StateMismatch
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.verl_plugin.checkpoint import (
    DATA_FILE,
    MARKER,
    STATE_FILE,
    read_state,
    repair_marker,
    resume_early,
    resumed_folder,
    write_state,
)
from mt_grpo_recipe.verl_plugin.task_loader import TaskLoader


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
    with pytest.raises(FileNotFoundError, match=r"no folder .*global_step_40 to resume from: correct trainer"):
        read_state(tmp_path / "global_step_40")


def test_a_marker_left_empty_by_a_kill_names_the_newest_checkpoint(tmp_path, caplog):
    for step in (2, 10, 9):
        write_state(tmp_path / f"global_step_{step}", {})
        (tmp_path / f"global_step_{step}" / DATA_FILE).touch()
    write_state(tmp_path / "global_step_12", {})  # it was killed before verl had written the rest
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


def config_of(folder, mode="auto", path=None):
    trainer = {"default_local_dir": str(folder), "resume_mode": mode, "resume_from_path": path}
    return OmegaConf.create({"trainer": trainer})


@pytest.mark.parametrize(("marker", "saved"), [(None, ()), ("4", (2, 4)), ("2", (2, 4)), ("", (2, 10))])
def test_a_run_resumes_from_the_checkpoint_that_verl_takes(tmp_path, marker, saved):
    for step in saved:
        write_state(tmp_path / f"global_step_{step}", {})
        (tmp_path / f"global_step_{step}" / DATA_FILE).touch()
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    found = resumed_folder(config_of(tmp_path))
    taken_by_verl = find_latest_ckpt_path(str(tmp_path))
    assert found is None if taken_by_verl is None else str(found) == taken_by_verl
    assert (found is None) == (marker is None)


@pytest.mark.parametrize(
    ("saved", "advice"), [((2, 4), "write 4 into it to go on from step 4"), ((), "no other one is")]
)
def test_a_newest_checkpoint_that_is_gone_is_said_where_verl_would_start_afresh(tmp_path, saved, advice):
    for step in saved:
        write_state(tmp_path / f"global_step_{step}", {})
        (tmp_path / f"global_step_{step}" / DATA_FILE).touch()
    write_state(tmp_path / "global_step_5", {})  # lacks what verl writes
    (tmp_path / MARKER).write_text("6")
    assert find_latest_ckpt_path(str(tmp_path)) is None
    with pytest.raises(FileNotFoundError, match=f"names global_step_6, which is missing: {advice}"):
        resumed_folder(config_of(tmp_path))


def test_a_checkpoint_is_named_or_none_is_asked_for(tmp_path, monkeypatch):
    write_state(tmp_path / "global_step_4", {})
    (tmp_path / MARKER).write_text("4")
    assert resumed_folder(config_of(tmp_path, "disable")) is None
    monkeypatch.chdir(tmp_path)
    assert resumed_folder(config_of("other", "resume_path", "runs/global_step_2")) == tmp_path / "runs/global_step_2"
    assert resumed_folder(config_of(".")) == tmp_path / "global_step_4"


def test_a_checkpoint_that_should_be_named_and_is_not_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"resume_path needs trainer\.resume_from_path; it is None\. Name the"):
        resumed_folder(config_of(tmp_path, "resume_path"))
    for path in ("runs/global_step_40/", "runs/step_40", "runs/global_step_40/actor"):
        with pytest.raises(ValueError, match=r"does not end in global_step_<number>"):
            resumed_folder(config_of(tmp_path, "resume_path", path))


def of_tasks(*tasks, digest="a"):
    """A controller and a loader of these tasks."""
    loader = TaskLoader({task: np.arange(2) for task in tasks}, dict, list, 0, dict.fromkeys(tasks, digest))
    return TaskController(list(tasks), 4, load_config(OmegaConf.create({}))), loader


def test_the_checkpoint_of_another_run_is_refused_before_anything_is_loaded(tmp_path):
    controller, loader = of_tasks("a", "b")
    loader.next_row(1)
    write_state(tmp_path, controller.state_dict())
    torch.save(loader.state_dict(), tmp_path / DATA_FILE)
    with pytest.raises(StateMismatch, match="cannot be resumed"):
        resume_early(tmp_path, *of_tasks("a"))
    with pytest.raises(StateMismatch, match="The training rows of a, b are as many"):
        resume_early(tmp_path, *of_tasks("a", "b", digest="other"))
    resumed = of_tasks("a", "b")
    for _ in range(2):  # verl loads it once more
        resume_early(tmp_path, *resumed)
    assert [part.state_dict() for part in resumed] == [controller.state_dict(), loader.state_dict()]
