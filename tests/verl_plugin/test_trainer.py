"""The trainers' own calls, without workers: what a skipped step and a measured update leave behind."""

import inspect
import json
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupLedger, GroupResult, Outcome
from mt_grpo_recipe.algorithm.streaks import Streaks
from mt_grpo_recipe.algorithm.task_weights import Signal
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.history.record import History, Timeline
from mt_grpo_recipe.verl_plugin.async_trainer import MTGRPOAsyncTrainer
from mt_grpo_recipe.verl_plugin.buffer_arguments import VerlBufferArguments
from mt_grpo_recipe.verl_plugin.checkpoint import MARKER
from mt_grpo_recipe.verl_plugin.failures import EveryGroupFailed, ValidationFailed
from mt_grpo_recipe.verl_plugin.replay_buffer import EmptyBatch, StepRecord
from mt_grpo_recipe.verl_plugin.run_length import EarlyEnd
from mt_grpo_recipe.verl_plugin.trainer import MTGRPOTrainer


class Controller:
    """Reads `signal`, and keeps what it was told."""

    weights_K = np.array([0.75, 0.25])
    tasks = ("a_b", "c")
    streaks = Streaks(2)
    finished = False
    notices = ()

    def __init__(self, signal=Signal.NONE, loss_weights_K=None):
        self.reads = signal
        self.signals = []
        self.skipped = 0
        self.started = []
        self.loaded = None
        self._loss_weights_K = loss_weights_K

    def update_weights(self, signal_K):
        self.signals.append(signal_K)

    def skip_update(self):
        self.skipped += 1

    def start(self, accuracy_of):
        self.started.append(accuracy_of)

    def state_dict(self):
        return {"steps": 5}

    def load_state_dict(self, state):
        self.loaded = state

    def loss_weights_K(self, selection):
        return self._loss_weights_K

    def metrics(self):
        return {"weight": {"a_b": 0.75, "c": 0.25}}

    def totals(self):
        return {"total_rollouts": 16}


def make_trainer(tmp_path, controller, kind=MTGRPOTrainer, **improvement):
    """A trainer in step 5 that has sampled group u of task 0 and group v of task 1."""
    trainer = object.__new__(kind)
    trainer.config = OmegaConf.create(
        {
            "algorithm": {"adv_estimator": "mt_grpo"},
            "trainer": {"default_local_dir": str(tmp_path), "save_freq": 20},
            "actor_rollout_ref": {
                "actor": {"ppo_mini_batch_size": 1, "loss_agg_mode": "token-mean"},
                "rollout": {"n": 2},
            },
        }
    )
    trainer.trainer_mode = "sync" if kind is MTGRPOTrainer else "separate_async"
    trainer.mt_grpo = load_config(OmegaConf.create({"improvement": improvement}))
    trainer.controller = controller
    ledger = GroupLedger(2)
    ledger.launch([0, 1])
    ledger.tell(0, GroupResult(Outcome.INFORMATIVE, 0.5, True, rollouts=2, tokens=12))
    ledger.tell(1, FAILED_GROUP)
    timeline = Timeline()
    timeline.launch(2)
    timeline.end([0, 1], tick=250)
    trainer._history = History(tmp_path, TaskController(["a_b", "c"], 4, trainer.mt_grpo), trainer.mt_grpo)
    trainer.tasks, trainer._slugs = ["a_b", "c"], {"a_b": "a-b", "c": "c"}
    trainer.train_dataloader = SimpleNamespace(given=[7, 8])
    failed_K, quota_K = np.array([0, 1]), np.array([3, 1])
    selection = SimpleNamespace(groups=ledger, rounds=2, failed_K=failed_K, quota_K=quota_K, launch_ids=[0])
    record = StepRecord(selection, 0.5, 1.0, timeline)
    trainer.replay_buffer = SimpleNamespace(record=record, task_of={"u": 0, "v": 1}.get)
    trainer._data = SimpleNamespace(validation_digest_of={})
    trainer.global_steps, trainer.local_trigger_step, trainer.timing_raw = 5, 0, {}
    trainer.total_training_steps, trainer._early_end = 80, EarlyEnd()
    trainer.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]}, saved=[])
    trainer.actor_rollout_wg.save_model_to_cpu = trainer.actor_rollout_wg.saved.append
    trainer.sample_ended = []
    trainer.on_sample_end = lambda: trainer.sample_ended.append(True)
    return trainer


def batch_of(*keys):
    return KVBatchMeta(partition_id="train", keys=list(keys), tags=[{} for _ in keys])


def test_a_buffer_gets_what_verl_gives_it_and_nothing_that_verl_does_not_know():
    parameters = dict(inspect.signature(ReplayBuffer.__init__).parameters)
    del parameters["self"]
    given = VerlBufferArguments.__annotations__.keys()
    required = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert required <= given <= parameters.keys()


@pytest.mark.parametrize(("kind", "saved"), [(MTGRPOTrainer, []), (MTGRPOAsyncTrainer, [0])])
def test_a_step_without_a_gradient_is_skipped_and_said(monkeypatch, tmp_path, rows, caplog, kind, saved):
    def empty(*_):
        raise EmptyBatch

    monkeypatch.setattr(PPOTrainer, "_step_once", empty)
    controller = Controller()
    trainer = make_trainer(tmp_path, controller, kind)
    trainer._update_metrics = []
    metrics, timing_s = {}, {"gen": 2.0}
    with caplog.at_level(logging.ERROR):
        batch = trainer._step_once(metrics, timing_s, 4)
    assert batch.keys == ["skipped5.0"] and rows.tags == {"skipped5.0": {"is_padding": True, "mt_grpo_skipped": True}}
    assert "Step 5 is skipped" in caplog.text
    assert controller.skipped == 1 and not controller.signals
    assert trainer.sample_ended == [True] and trainer.actor_rollout_wg.saved == saved
    assert metrics["mt_grpo/skipped_update"] == 1.0 and metrics["mt_grpo/weight/a-b"] == 0.75
    assert metrics["mt_grpo/steps_left"] == 75
    assert timing_s == {"gen": 2.0, "mt_grpo_decide": 0.5, "mt_grpo_poll": 1.0}
    line = json.loads((tmp_path / "decisions.jsonl").read_text())
    assert line == {"step": 5, "weights": [0.75, 0.25], "quota": [3, 1], "rows": [7, 8], "chosen": [0]}
    outcomes = json.loads((tmp_path / "outcomes.jsonl").read_text())
    of_groups = {"task": [0, 1], "launched": [0, 0], "ended": [250, 250], "accuracy": [0.5, 0.0], "rollouts": [2, 0]}
    assert outcomes == {"step": 5, **of_groups, "spread": [1, 0], "tokens": [12, 0]}
    assert trainer.train_dataloader.given == []

    logged = {}
    trainer._compute_metrics(batch, logged, timing_s, global_steps=5, epoch=0)
    assert logged == {"training/global_step": 5} | {f"timing_s/{name}": value for name, value in timing_s.items()}


@pytest.mark.parametrize(
    ("kind", "save_freq", "last", "saved"),
    [
        (MTGRPOTrainer, 20, None, [5]),
        (MTGRPOTrainer, 20, "1", [5]),
        (MTGRPOTrainer, 20, "2", []),  # steps 3, 4 and 5 are those in which nothing finished
        (MTGRPOTrainer, -1, None, []),
        (MTGRPOAsyncTrainer, 20, None, []),
    ],
)
def test_a_run_stops_when_every_group_has_failed_for_some_steps(
    monkeypatch, tmp_path, rows, kind, save_freq, last, saved
):
    """What was trained since the last checkpoint is saved first, but for a step of which mini-batches are in flight."""
    if last:
        (tmp_path / MARKER).write_text(last)

    def empty(*_):
        raise EmptyBatch

    monkeypatch.setattr(PPOTrainer, "_step_once", empty)
    controller = Controller()
    controller.streaks = Streaks(2)
    controller.streaks.failing = 3
    trainer = make_trainer(tmp_path, controller, kind)
    trainer.config.trainer.save_freq = save_freq
    written = []
    monkeypatch.setattr(kind, "_placeholder", lambda self: SimpleNamespace(tags=[{"is_padding": True}]))
    monkeypatch.setattr(kind, "_save_checkpoint", lambda self: written.append(self.global_steps))
    trainer.replay_buffer.record.errors[1] = "KeyError: 'answer_key'"
    with pytest.raises(EveryGroupFailed, match="Task 'c':\nKeyError: 'answer_key'"):
        trainer._step_once({}, {}, 4)
    assert written == saved


def test_a_validation_in_which_all_fails_stops_a_run_that_has_not_begun_and_no_other(monkeypatch, tmp_path, caplog):
    def fail(_):
        raise ValidationFailed("All 4 prompts of a validation batch failed. The first failure:\nKeyError: 'x'")

    monkeypatch.setattr(PPOTrainer, "_validate", fail)
    trainer, partial = make_trainer(tmp_path, Controller()), {"uid": [1.0]}
    trainer.replay_buffer = SimpleNamespace(has_sampled=False, take_validated=partial.clear)
    with pytest.raises(EveryGroupFailed, match=r"(?s)KeyError: 'x'.*start again with trainer\.resume_mode=auto"):
        trainer._validate()
    trainer.replay_buffer.has_sampled = True
    assert trainer._validate() == {} and not partial
    assert "is left out, and no accuracy is logged for it; the run goes on. All 4 prompts" in caplog.text


def test_the_loss_weights_of_the_tasks_are_written_and_logged(monkeypatch, tmp_path, rows):
    monkeypatch.setattr(PPOTrainer, "_compute_advantage", lambda self, batch, metrics: batch)
    rows.add("u_0_0", advantages=[1.0, 1.0, 9.0], response_mask=[1, 1, 0])
    rows.add("v_0_0", advantages=[-1.5], response_mask=[1])
    trainer = make_trainer(tmp_path, Controller(loss_weights_K=np.array([0.5, 2.0])))
    metrics = {}
    trainer._compute_advantage(batch_of("u_0_0", "v_0_0"), metrics)
    mass = {"mt_grpo/advantage_mass/a-b": 1.0, "mt_grpo/advantage_mass/c": 3.0}
    assert metrics == mass | {"mt_grpo/loss_weight/a-b": 0.5, "mt_grpo/loss_weight/c": 2.0}
    assert [rows.fields[key]["rollout_is_weights"] for key in ("u_0_0", "v_0_0")] == [[0.5] * 3, [2.0]]


def test_each_task_s_part_of_the_gradient_is_logged_without_loss_weights_too(monkeypatch, tmp_path, rows):
    monkeypatch.setattr(PPOTrainer, "_compute_advantage", lambda self, batch, metrics: batch)
    rows.add("u_0_0", advantages=[0.5, -2.0], response_mask=[1, 1])
    rows.add("pad_0_0", advantages=[7.0], response_mask=[1])
    metrics, batch = {}, batch_of("u_0_0", "pad_0_0")
    assert make_trainer(tmp_path, Controller())._compute_advantage(batch, metrics) is batch
    assert metrics == {"mt_grpo/advantage_mass/a-b": 2.5, "mt_grpo/advantage_mass/c": 0.0}


def test_a_loss_that_averages_over_tokens_gives_a_long_answer_no_more_of_the_gradient(monkeypatch, tmp_path, rows):
    monkeypatch.setattr(PPOTrainer, "_compute_advantage", lambda self, batch, metrics: batch)
    rows.add("u_0_0", advantages=[1.0] * 4, response_mask=[1] * 4)
    rows.add("v_0_0", advantages=[-1.0], response_mask=[1])
    trainer, metrics = make_trainer(tmp_path, Controller()), {}
    trainer.config.actor_rollout_ref.actor.loss_agg_mode = "seq-mean-token-mean"
    trainer._compute_advantage(batch_of("u_0_0", "v_0_0"), metrics)
    assert metrics == {"mt_grpo/advantage_mass/a-b": 1.0, "mt_grpo/advantage_mass/c": 1.0}


def test_the_weights_move_once_per_mini_batch_where_that_is_asked_for(monkeypatch, tmp_path, rows):
    def update(self, batch, metrics):
        metrics["loss"] = float(len(updates))
        updates.append(batch.keys)
        return batch

    updates = []
    monkeypatch.setattr(PPOTrainer, "_update_actor", update)
    keys = ["u_0_0", "u_1_0", "v_0_0", "v_1_0"]
    for key, advantage in zip(keys, [1.0, -3.0, 0.5, 0.5], strict=True):
        rows.add(key, advantages=[advantage], response_mask=[1])
    controller = Controller(Signal.ADVANTAGE)
    metrics = {}
    make_trainer(tmp_path, controller, granularity="mini_batch")._update_actor(batch_of(*keys), metrics)
    assert updates == [keys[:2], keys[2:]] and metrics == {"loss": 0.5}
    first_K, second_K = controller.signals
    # One group per mini-batch: the other task has no samples.
    assert first_K[0] == 2.0 and math.isnan(first_K[1])
    assert second_K[1] == 0.5 and math.isnan(second_K[0])

    updates.clear()
    controller = Controller()
    make_trainer(tmp_path, controller)._update_actor(batch_of(*keys), {})
    assert updates == [keys] and len(controller.signals) == 1 and np.isnan(controller.signals[0]).all()


def test_i_k_is_measured_under_a_timer_of_its_own(tmp_path, rows):
    trainer = make_trainer(tmp_path, Controller(Signal.IMPROVEMENT))
    calls = []
    trainer._improvement = SimpleNamespace(measure=lambda *args: calls.append(args) or np.array([0.1, -0.1]))
    batch = batch_of("u_0_0", "pad_0_0", "v_0_0")
    trainer._move_weights(batch)
    assert calls == [(trainer.actor_rollout_wg, batch, {"u_0_0": 0, "v_0_0": 1}, 5)]
    assert trainer.controller.signals[0].tolist() == [0.1, -0.1]
    assert trainer.timing_raw.keys() == {"improvement"}


def step_of(trainer, monkeypatch):
    """One step that trains on two groups."""
    monkeypatch.setattr(PPOTrainer, "_step_once", lambda *_: batch_of("u_0_0", "v_0_0"))
    trainer._step_once({}, {}, 4)


def test_the_step_after_all_is_met_is_the_last_and_what_the_rule_says_is_logged(monkeypatch, tmp_path, rows, caplog):
    controller = Controller()
    trainer = make_trainer(tmp_path, controller)
    step_of(trainer, monkeypatch)
    assert trainer.total_training_steps == 80 and trainer._state()["last_step"] is None
    controller.finished, controller.notices = True, ["Task 'c' is no longer out of reach."]
    with caplog.at_level(logging.WARNING):
        step_of(trainer, monkeypatch)
    assert "Step 5: Task 'c' is no longer out of reach." in caplog.text
    assert "Step 5: all that mt_grpo.weights asks for is met. The run ends with the checkpoint of step 6" in caplog.text
    assert trainer.total_training_steps == 6 and trainer._state()["last_step"] == 6
    trainer.global_steps = 6
    step_of(trainer, monkeypatch)
    assert trainer.total_training_steps == 6


def test_a_last_step_stays_the_last(monkeypatch, tmp_path, rows):
    controller = Controller()
    controller.finished = True
    trainer = make_trainer(tmp_path, controller)
    trainer.total_training_steps = 5
    step_of(trainer, monkeypatch)
    assert trainer.total_training_steps == 5 and trainer._state()["last_step"] is None


@pytest.mark.parametrize(("finished", "total"), [(True, 6), (False, 80)])
def test_a_resumed_run_ends_where_it_would_have_unless_more_is_asked_of_it(tmp_path, finished, total):
    controller = Controller()
    controller.finished = finished
    trainer = make_trainer(tmp_path, controller)
    saved = {"steps": 5, "validation_digests": {}, "last_step": 6}
    trainer._load_state(saved)
    assert trainer.total_training_steps == total and controller.loaded == saved


@pytest.mark.parametrize("temperature", [1.0, 0])
def test_a_validation_that_samples_as_training_does_gives_the_start(monkeypatch, tmp_path, temperature):
    monkeypatch.setattr(PPOTrainer, "_val_metrics_update", lambda self, **_: {"val": 1.0})
    controller = Controller()
    trainer = make_trainer(tmp_path, controller)
    sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": -1}
    trainer.config.actor_rollout_ref.rollout = {**sampling, "val_kwargs": {**sampling, "temperature": temperature}}
    trainer.mt_grpo.task_key = ["task"]
    trainer.replay_buffer.take_validated = lambda: {"u": [True, False]}
    trainer.val_dataloader = SimpleNamespace(batches=[{"uid": ["u"], "task": ["c"]}])
    metrics = trainer._val_metrics_update(expected_acc_counts={("source", "u"): 2})
    assert metrics["val"] == 1.0 and metrics["val-core/mt_grpo/worst_task_acc"] == 0.5
    assert controller.started == ([{"c": 0.5}] if temperature else [])
