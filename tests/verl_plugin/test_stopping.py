"""verl's own loop around the real trainer and buffer, without workers: how a run ends early."""

from types import SimpleNamespace

import pytest
import verl.trainer.ppo.v1.trainer_base as verl_trainer
from buffers import MIXED, make_buffer
from omegaconf import OmegaConf

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.history.record import History
from mt_grpo_recipe.verl_plugin import queue_rows
from mt_grpo_recipe.verl_plugin.failures import EveryGroupFailed
from mt_grpo_recipe.verl_plugin.run_length import EarlyEnd, steps_of_the_run
from mt_grpo_recipe.verl_plugin.trainer import MTGRPOTrainer

TRACEBACK = "Traceback (most recent call last):\n  File 'reward.py', line 5\nKeyError: 'answer_key'"


def make_trainer(monkeypatch, folder, outcome):
    """A trainer that begins with step 1, saves after every step, and generates what `outcome` says."""
    buffer, rollout = make_buffer(monkeypatch, outcome, max_resample_rounds=0)
    rollout.error = TRACEBACK
    rollout.kv_put = lambda key, partition_id, tag: None
    for module in (verl_trainer, queue_rows):
        monkeypatch.setattr(module, "tq", rollout)
    monkeypatch.setattr(verl_trainer.SkipManager, "init", lambda config: None)
    monkeypatch.setattr(verl_trainer.SkipManager, "set_step", lambda step: None)
    settings = {"project_name": "p", "experiment_name": "e", "logger": [], "total_epochs": 1, "test_freq": -1}
    trainer = object.__new__(MTGRPOTrainer)
    trainer.config = OmegaConf.create(
        {
            "trainer": settings | {"val_before_train": False, "save_freq": 1, "default_local_dir": str(folder)},
            "data": {"train_batch_size": 8},
            "actor_rollout_ref": {"rollout": {"temperature": 1.0}},
            "global_profiler": {"steps": None, "profile_continuous_steps": False},
        }
    )
    trainer.trainer_mode, trainer.parameter_sync_step, trainer.global_steps = "sync", 1, 0
    trainer.total_training_steps = trainer.steps_per_epoch = 50
    trainer.replay_buffer, trainer.controller = buffer, buffer.controller
    trainer.tasks, trainer._slugs = ["a", "b"], {"a": "a", "b": "b"}
    trainer._history, trainer._early_end = History(folder, buffer.controller, MTGRPOConfig()), EarlyEnd()
    trainer.train_dataloader = SimpleNamespace(given=[])
    trainer.checkpoint_manager = SimpleNamespace(update_weights=lambda step: None, sleep_replicas=lambda: None)
    trainer.saved = []
    trainer._save_checkpoint = lambda: trainer.saved.append(trainer.global_steps)
    return trainer


def test_a_run_in_which_every_reward_raises_ends_in_the_third_step_with_the_exception(monkeypatch, tmp_path):
    trainer = make_trainer(monkeypatch, tmp_path, lambda task, number: None)
    with pytest.raises(EveryGroupFailed, match="3 steps in a row, the last of them step 3") as raised:
        trainer.fit(None)
    assert trainer.saved == [1, 2]
    assert str(raised.value).count(TRACEBACK) == 2 and "Task 'a':" in str(raised.value)


def test_a_run_in_which_a_group_finishes_now_and_then_goes_on(monkeypatch, tmp_path):
    # One group of 24 per step, in every third step, and without a gradient.
    trainer = make_trainer(monkeypatch, tmp_path, lambda task, number: MIXED[:1] * 4 if number % 72 == 0 else None)
    trainer.total_training_steps = 7
    trainer._shutdown_dump_executor = lambda: None
    trainer.fit(None)
    assert trainer.saved == list(range(1, 8))


def test_a_run_ends_with_a_checkpoint_one_step_after_all_is_met_and_is_not_resumed(monkeypatch, tmp_path):
    monkeypatch.setattr(TaskController, "finished", property(lambda controller: controller.state_dict()["steps"] >= 2))
    trainer = make_trainer(monkeypatch, tmp_path, lambda task, number: MIXED[:1] * 4)
    trainer.config.trainer.save_freq = 10
    trainer._shutdown_dump_executor = lambda: None
    trainer.fit(None)
    assert trainer.saved == [3]

    # As verl does it once it has loaded the checkpoint of step 3.
    resumed = make_trainer(monkeypatch, tmp_path, lambda task, number: MIXED[:1] * 4)
    resumed._shutdown_dump_executor = lambda: None
    resumed.controller.load_state_dict(trainer.controller.state_dict())
    resumed.global_steps = 3
    resumed.total_training_steps = resumed._early_end.load(trainer._early_end.state(), 50, resumed.controller)
    resumed._reissue_inflight_prompts = lambda: None
    resumed.fit(None)
    assert resumed.saved == []


def test_epochs_count_the_rows_of_the_tasks_that_are_trained(caplog):
    trainer = {"total_training_steps": None, "total_epochs": 3}
    config = OmegaConf.create({"trainer": trainer, "data": {"train_batch_size": 100}})
    assert steps_of_the_run(config, 1050) == 30
    assert "total_epochs=3 is taken as 30 steps (1050 rows of the trained tasks / batch size)" in caplog.text
    caplog.clear()
    config.trainer.total_training_steps = 7
    assert steps_of_the_run(config, 1050) == 7 and not caplog.records
