"""The laboratory's settings are those of a verl run of the miniature, and it refuses what it cannot do."""

from pathlib import Path

import pytest
from comparisons import SETTINGS
from composing import READ, UNREAD, compose_settings, miniature
from omegaconf import OmegaConf

from mt_grpo_recipe.config import ConfigError

RUN_SH = Path(__file__).resolve().parents[2] / "run_scripts" / "mini" / "run.sh"


def test_the_miniature_composes_with_its_settings():
    config, mt_grpo = compose_settings("mt_grpo", 3, 50, [])
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (actor.optim.lr, actor.optim.weight_decay, list(actor.optim.betas)) == (3e-4, 0.01, [0.9, 0.999])
    assert (actor.optim.clip_grad, actor.clip_ratio_low, actor.clip_ratio_high) == (1.0, 0.2, 0.28)
    assert (rollout.n, rollout.val_kwargs.n, rollout.seed, config.data.train_batch_size) == (8, 2, 3, 12)
    assert (mt_grpo.seed, mt_grpo.weights.learning_rate, mt_grpo.improvement.reduction) == (3, 0.1, "sum")
    assert (config.trainer.total_training_steps, config.trainer.test_freq) == (50, 10)


def test_every_method_of_the_comparison_composes():
    for method in ("grpo", "dapo", "sec_grpo", "sec_dapo", "grpo_iwu", "grpo_rps", "mt_grpo_reg", "mt_grpo_stream"):
        assert compose_settings(method, 0, 80, [])[1].sampler.quota == "stratified"


def test_what_run_sh_adds_is_added_here():
    text = RUN_SH.read_text()
    assert "mt_grpo.weights.learning_rate=0.1" in text
    added = miniature("mt_grpo", 0, 80)
    assert "actor_rollout_ref.rollout.val_kwargs.n=2" in added and "mt_grpo.weights.learning_rate=0.1" in added
    for setting in ("equal", "nine"):
        described = SETTINGS[setting]
        [shell] = [line for line in text.splitlines() if line.startswith(f"  {setting})")]
        assert f"answers={described.answers} " in shell and f"model={described.model.name} " in shell
        assert f"made={described.data} " in shell and f"train={next(iter(described.rows.values()))} " in shell
    assert "mt_grpo_targets) ;;" in text and miniature("mt_grpo_targets", 0, 80) == miniature("dapo", 0, 80)
    assert "mt_grpo_reg) set -- mt_grpo.weights.learning_rate=0.1" in text
    assert "mt_grpo* | grpo_iwu) set -- mt_grpo.weights.learning_rate=0.1 mt_grpo.improvement.reduction=sum" in text
    assert not any(added.startswith("mt_grpo.weights") for added in miniature("dapo", 0, 80))
    assert "mt_grpo.improvement.reduction=sum" not in miniature("mt_grpo_reg", 0, 80)


def test_overrides_come_last():
    _, mt_grpo = compose_settings(
        "mt_grpo", 0, 80, ["mt_grpo.weights.learning_rate=0.4", "mt_grpo.sampler.oversample=2"]
    )
    assert (mt_grpo.weights.learning_rate, mt_grpo.sampler.oversample) == (0.4, 2)


@pytest.mark.parametrize(
    ("method", "override", "named"),
    [
        ("grpo", "actor_rollout_ref.actor.use_kl_loss=True", "use_kl_loss=True"),
        ("grpo", "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean", "loss_agg_mode"),
        ("mt_grpo", "mt_grpo.improvement.granularity=mini_batch", "granularity='mini_batch'"),
        ("mt_grpo_stream", "mt_grpo.sampler.surplus=abort", "surplus='abort'"),
        ("mt_grpo_async", "mt_grpo.seed=0", "trainer_mode='mt_grpo_async'"),
        ("grpo", "data.train_batch_size=24", "one update per step"),
        ("grpo", "data.train_batchsize=24", "does not compose.*train_batchsize"),
        ("no_method", "mt_grpo.seed=0", "does not compose.*no_method"),
        ("grpo", "mt_grpo.sampler.oversample=0", "mt_grpo.sampler.oversample=0"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(method, override, named):
    with pytest.raises(ConfigError, match=f"(?s){named}"):
        compose_settings(method, 0, 80, [override])


def test_every_setting_named_exists():
    config = compose_settings("mt_grpo", 0, 80, [])[0]
    for name in (*READ, *UNREAD):
        section, _, key = name.rpartition(".")
        assert key in (OmegaConf.select(config, section) if section else config), name
