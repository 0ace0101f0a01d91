"""Mini-batches of a batch that fell short: their number, their size, and what verl is told of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from mt_grpo_recipe.verl_plugin.checks.updates import fixed_micro_batch
from mt_grpo_recipe.verl_plugin.even_updates import EvenUpdates, rows_are_made_a_multiple_of, updates_of
from mt_grpo_recipe.verl_plugin.trainer import MTGRPOTrainer


def batch_of(rows):
    return KVBatchMeta(partition_id="train", keys=[f"u_{i}_0" for i in range(rows)], tags=[{}] * rows)


def make_trainer(mini_batch=12, n=8, ranks=1, dynamic=True, critic=False, kl_loss=False, ref_dynamic=True, lora=0):
    trainer = object.__new__(MTGRPOTrainer)
    actor = {"ppo_mini_batch_size": mini_batch, "use_dynamic_bsz": dynamic, "use_kl_loss": kl_loss, "strategy": "fsdp2"}
    rollout = {"n": n, "log_prob_use_dynamic_bsz": dynamic}
    others = {
        "ref": {"log_prob_use_dynamic_bsz": ref_dynamic},
        "model": {"lora_rank": lora, "lora_adapter_path": None},
    }
    trainer.config = OmegaConf.create(
        {
            "actor_rollout_ref": {"actor": actor, "rollout": rollout, **others},
            "algorithm": {"use_kl_in_reward": False},
            "critic": {"ppo_mini_batch_size": mini_batch},
            "trainer": {"critic_warmup": 0},
        }
    )
    trainer.use_critic, trainer.global_steps = critic, 1
    trainer.actor_rollout_wg = type("Workers", (), {"_dispatch_info": {"actor": list(range(ranks))}})
    return trainer


@pytest.fixture
def padded(monkeypatch):
    """A function that returns how many rows a trainer makes of a batch, by verl's rule of a multiple."""

    def balance(self, batch, metrics):
        multiple = self._get_required_batch_multiple(len(self.actor_rollout_wg._dispatch_info["actor"]))
        return batch_of(math.ceil(len(batch) / multiple) * multiple)

    monkeypatch.setattr(PPOTrainer, "_balance_batch", balance)
    return lambda trainer, rows: len(trainer._balance_batch(batch_of(rows), {}))


@pytest.mark.parametrize(
    ("rows", "ranks", "mini_batch", "expected", "updates"),
    [
        (48, 1, 12, 48, 1),  # half a mini-batch stays as it is
        (96, 1, 12, 96, 1),  # a full one is what verl has
        (8, 1, 12, 8, 1),
        (104, 1, 12, 112, 2),  # 13 groups: two mini-batches of seven, not of twelve
        (24, 16, 12, 32, 1),  # ranks share the rows evenly
        (45, 1, 12, 48, 1),  # agent loops with several outputs give any number of rows
        (160, 1, 8, 168, 3),  # 20 groups: three mini-batches of seven
        (256, 4, 8, 256, 4),
    ],
)
def test_rows_are_filled_up_to_mini_batches_of_one_size(padded, rows, ranks, mini_batch, expected, updates):
    trainer = make_trainer(mini_batch, ranks=ranks)
    assert padded(trainer, rows) == expected
    parts = trainer._mini_batches(batch_of(expected))
    assert [len(part) for part in parts] == [expected // updates] * updates


@given(st.integers(1, 3000), st.integers(1, 16), st.integers(1, 16), st.integers(1, 12))
def test_no_update_more_than_verl_makes_and_never_more_rows(rows, ranks, n, mini_batch):
    full = mini_batch * math.lcm(ranks, n)
    multiple = rows_are_made_a_multiple_of(rows, full, ranks, n)
    made, by_verl = math.ceil(rows / multiple) * multiple, math.ceil(rows / full) * full
    assert rows <= made <= by_verl
    updates = updates_of(made, full)
    assert updates == by_verl // full
    assert made % updates == 0 and (made // updates) % math.lcm(ranks, n) == 0 and made // updates <= full


@pytest.mark.parametrize("other", [{"dynamic": False}, {"critic": True}, {"kl_loss": True, "ref_dynamic": False}])
def test_fixed_micro_batches_and_a_critic_get_whole_mini_batches(padded, other):
    trainer = make_trainer(**other)
    assert padded(trainer, 48) == 96
    assert [len(part) for part in trainer._mini_batches(batch_of(96))] == [96]


@pytest.mark.parametrize("other", [{"ref_dynamic": False}, {"kl_loss": True, "ref_dynamic": False, "lora": 8}])
def test_micro_batches_of_a_reference_that_is_not_run_do_not_matter(padded, other):
    assert padded(make_trainer(**other), 48) == 48


def test_verl_is_told_the_size_for_this_update_alone(monkeypatch):
    told = []

    def update(self, batch, metrics):
        told.append(self.config.actor_rollout_ref.actor.ppo_mini_batch_size)
        if len(batch) == 8:
            raise RuntimeError("out of memory")
        return batch

    monkeypatch.setattr(PPOTrainer, "_update_actor", update)
    trainer = make_trainer()
    for rows in (48, 112, 96):
        EvenUpdates._update_actor(trainer, batch_of(rows), {})
    with pytest.raises(RuntimeError):
        EvenUpdates._update_actor(trainer, batch_of(8), {})
    assert told == [6, 7, 12, 1]
    assert trainer.config.actor_rollout_ref.actor.ppo_mini_batch_size == 12


@pytest.mark.parametrize(("given", "rows"), [({}, 4), ({"microbatch_group_size_per_vp_stage": 6}, 6)])
def test_the_interleaved_pipeline_of_megatron_gets_whole_mini_batches_and_probes_it_can_cut(padded, given, rows):
    trainer = make_trainer(mini_batch=8, ranks=4)
    megatron = {"virtual_pipeline_model_parallel_size": 2, "pipeline_model_parallel_size": 4}
    actor = trainer.config.actor_rollout_ref.actor
    actor.strategy, actor.megatron = "megatron", megatron | {"override_transformer_config": given}
    assert padded(trainer, 8) == 64, "verl raises if a rank has fewer rows than the pipeline takes at a time"
    assert fixed_micro_batch(trainer.config) == rows
    actor.megatron.virtual_pipeline_model_parallel_size = None
    assert (padded(trainer, 8), fixed_micro_batch(trainer.config)) == (8, 1)
