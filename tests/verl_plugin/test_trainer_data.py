"""The trainer's data at start and at resume, with verl's own loaders and no workers."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from mt_grpo_recipe.algorithm.controller import StateMismatch
from mt_grpo_recipe.config import ConfigError, load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.history.files import DECISIONS, StepFile
from mt_grpo_recipe.verl_plugin.run_length import EarlyEnd
from mt_grpo_recipe.verl_plugin.trainer import MTGRPOTrainer

TINY = "run_scripts/tiny_model/checkpoint"
SIZES = {"countdown": 30, "zebra": 20}


def rows(split):
    return [
        {
            "data_source": "countdown",
            "prompt": [{"role": "user", "content": f"{split} {task} {i}"}],
            "reward_model": {"style": "rule", "ground_truth": {"numbers": "1,2", "target": i}},
            "extra_info": {"task": task, "index": i},
        }
        for task, size in SIZES.items()
        for i in range(size)
    ]


@pytest.fixture
def start(tmp_path, request):
    """Start a run on rows, up to its data loaders; other rows come in other files."""
    tokenizer = AutoTokenizer.from_pretrained(request.config.rootpath / TINY)

    def started(*overrides, train=None, validation=None):
        # Other files each time: `datasets` knows a file by its path and the time of its last change.
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(train or rows("train")), folder / "train.parquet")
        pq.write_table(pa.Table.from_pylist(validation or rows("test")), folder / "test.parquet")
        trainer = object.__new__(MTGRPOTrainer)
        trainer.config = compose_config(
            [
                f"data.train_files={folder}/train.parquet",
                f"data.val_files={folder}/test.parquet",
                "data.train_batch_size=4",
                "trainer.total_training_steps=3",
                *overrides,
            ]
        )
        trainer.mt_grpo, trainer._early_end = load_config(trainer.config.mt_grpo), EarlyEnd()
        trainer.tokenizer, trainer.processor = tokenizer, None
        trainer.trainer_mode, trainer.parameter_sync_step = "sync", 1
        trainer.replay_buffer = SimpleNamespace(carries_over=False)
        trainer._init_dataloader()
        return trainer

    return started


def drawn(trainer, count):
    trainer.train_dataloader.request([0, 1] * count)
    return [next(trainer.train_dataloader)["raw_prompt"][0][0]["content"] for _ in range(2 * count)]


def resume(trainer, checkpoint):
    loader_state, state = checkpoint
    trainer.train_dataloader.load_state_dict(loader_state)
    trainer._load_state(state)


def checkpoint_of(trainer):
    return trainer.train_dataloader.state_dict(), trainer._state()


@pytest.mark.parametrize("overrides", [[], ["data.train_max_samples=10"], ["data.custom_cls.path=null"]])
def test_a_resumed_run_goes_on_with_the_rows_of_the_first(start, overrides, caplog):
    first = start(*overrides)
    before = drawn(first, 3)
    saved = checkpoint_of(first)
    second = start(*overrides)
    resume(second, saved)
    after = drawn(second, 1)
    assert after == drawn(first, 1) and not set(after) & set(before)
    assert "have changed" not in caplog.text


def test_each_task_keeps_its_share_of_a_part_of_the_rows(start):
    trainer = start("data.train_max_samples=10", "data.val_max_samples=5", "data.shuffle=False")
    assert {task: len(task_rows) for task, task_rows in trainer._data.rows_of.items()} == {"countdown": 6, "zebra": 4}
    validated = [info["task"] for batch in trainer.val_dataloader for info in batch["extra_info"]]
    assert sorted(validated) == 3 * ["countdown"] + 2 * ["zebra"]


def test_changed_training_rows_are_refused_at_resume_and_their_task_is_named(start):
    saved = checkpoint_of(start())
    changed = rows("train")
    changed[-1]["reward_model"]["ground_truth"]["target"] = 99
    with pytest.raises(StateMismatch, match="The training rows of zebra are as many as in the checkpoint, but not the"):
        resume(start(train=changed), saved)


def test_changed_validation_rows_are_said_at_resume(start, caplog):
    saved = checkpoint_of(start())
    changed = rows("test")
    changed[0]["prompt"][0]["content"] = "another question"
    resume(start(validation=changed), saved)
    assert "The validation rows of countdown have changed since the checkpoint" in caplog.text


@pytest.mark.parametrize(("evaluates", "lines"), [(True, 3), (False, 0)])
def test_an_evaluation_leaves_the_history_as_it_was(start, monkeypatch, tmp_path, evaluates, lines):
    monkeypatch.setattr(PPOTrainer, "_load_checkpoint", lambda trainer: None)
    folder = tmp_path / "run"
    given = f"trainer.default_local_dir={folder}", "trainer.resume_mode=disable"
    for step in (1, 2, 3):
        StepFile(folder / DECISIONS).append(step, {})
    trainer = start(*given, f"trainer.val_only={evaluates}")
    trainer.global_steps = 0
    trainer._load_checkpoint()
    assert len((folder / DECISIONS).read_text().splitlines()) == lines


def test_validation_rows_without_a_task_are_refused_at_start_with_file_and_row(start):
    faulty = rows("test")
    for row in faulty[40:]:
        row["extra_info"]["task"] = None
    with pytest.raises(ConfigError, match=r"/test\.parquet: 10 of 50 rows name no task; the first is row 40"):
        start(validation=faulty)


@pytest.mark.parametrize(
    ("granularity", "mini_batch", "steps", "warm_up"),
    [("step", 2, 3, 2), ("mini_batch", 2, 6, 4), ("mini_batch", 3, 6, 4)],  # batch 4: with 3, the last one is short
)
def test_the_learning_rate_takes_the_steps_it_was_given(start, granularity, mini_batch, steps, warm_up):
    # Batches of 4 in mini-batches of 2: two calls of verl's update per step, and its schedule advances once per call.
    trainer = start(
        f"mt_grpo.improvement.granularity={granularity}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={mini_batch}",
        "actor_rollout_ref.actor.optim.lr_warmup_steps=2",
    )
    optim = trainer.config.actor_rollout_ref.actor.optim
    assert (optim.total_training_steps, optim.lr_warmup_steps) == (steps, warm_up)


def test_a_warm_up_that_was_not_given_is_left_to_its_ratio(start):
    trainer = start("mt_grpo.improvement.granularity=mini_batch", "actor_rollout_ref.actor.ppo_mini_batch_size=2")
    assert trainer.config.actor_rollout_ref.actor.optim.lr_warmup_steps == -1
