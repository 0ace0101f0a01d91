"""Options that have no effect are said, and what the plugin sets is logged."""

import logging
import re
from pathlib import Path

import pytest
from commands import check
from omegaconf import OmegaConf

import mt_grpo_recipe.config
from mt_grpo_recipe.algorithm.settings import RoundsSettings
from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import options
from mt_grpo_recipe.verl_plugin.defaults import set_defaults

EXPERIMENTS = Path(mt_grpo_recipe.config.__file__).parent / "experiment"

# ---------------------------------------------------------------------- what has no effect


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.shuffle=False", "data.shuffle=False has no effect: every task goes through its rows in a seeded"),
        ("data.seed=3", "data.seed=3 has no effect: the rows and their order are drawn from mt_grpo.seed"),
        ("trainer.v1.sampler.sync_refill_failed_groups=True", "a group that fails is replaced in any case"),
        ("skip.rollout.enable=True", "stored rollouts are not replayed"),
        (
            "actor_rollout_ref.actor.grad_clip=0.1",
            "grad_clip=0.1 has no effect: verl clips .*optim.clip_grad; set that",
        ),
        ("actor_rollout_ref.actor.freeze_vision_tower=True", "the vision tower is trained"),
        ("actor_rollout_ref.actor.use_prefix_grouper=True", "use_prefix_grouper=True has no effect"),
        ("actor_rollout_ref.rollout.multi_stage_wake_up=True", "multi_stage_wake_up=True has no effect"),
        ("actor_rollout_ref.rollout.trace.backend=mlflow", "trace no rollout; trainer.rollout_data_dir writes"),
        ("actor_rollout_ref.rollout.val_kwargs.do_sample=True", "takes the most likely token; set that temperature"),
        ("data.truncation=left", "data.truncation=left has no effect: .*loses its beginning"),
        ("trainer.balance_batch=False", "trainer.balance_batch=False has no effect: .*always"),
        ("trainer.ray_wait_register_center_timeout=900", "register_center_timeout=900 has no effect"),
    ],
)
def test_an_option_without_effect_is_said_once_and_only_where_it_was_given(override, words, caplog):
    options.warn_of_options_without_effect(compose_config([]), MTGRPOConfig())
    assert not caplog.records
    options.warn_of_options_without_effect(compose_config([override]), MTGRPOConfig())
    assert [bool(re.search(words, record.message)) for record in caplog.records] == [True]


def test_sampling_at_validation_is_not_warned_of_where_its_temperature_does_it(caplog):
    sampling = "actor_rollout_ref.rollout.val_kwargs"
    given = compose_config([f"{sampling}.do_sample=True", f"{sampling}.temperature=0.6"])
    options.warn_of_options_without_effect(given, MTGRPOConfig())
    assert not caplog.records


@pytest.mark.parametrize("experiment", sorted(file.stem for file in EXPERIMENTS.glob("*.yaml")))
def test_no_experiment_sets_an_option_that_has_no_effect(experiment, caplog):
    config = compose_config([f"+experiment={experiment}"])
    options.warn_of_options_without_effect(config, MTGRPOConfig())
    assert not [record.message for record in caplog.records if not record.message.startswith(options.EPOCHS)]
    given = OmegaConf.load(EXPERIMENTS / f"{experiment}.yaml")
    assert [name for name in options.NO_EFFECT if OmegaConf.select(given, name) is not None] == []


@pytest.mark.parametrize(("drops", "said"), [(True, True), (False, False)])
def test_groups_that_are_dropped_although_a_teacher_could_use_them_are_said(drops, said, caplog):
    config = compose_config(["distillation.enabled=True"])
    settings = MTGRPOConfig(sampler=RoundsSettings(drop_uninformative=drops, ratio=drops))
    options.warn_of_options_without_effect(config, settings)
    assert ("groups that the sampler drops are not distilled from either" in caplog.text) == said


def test_epochs_have_no_effect_where_steps_are_given(caplog):
    options.warn_of_options_without_effect(compose_config(["trainer.total_epochs=2"]), MTGRPOConfig())
    assert not caplog.records
    options.warn_of_options_without_effect(
        compose_config(["trainer.total_epochs=2", "trainer.total_training_steps=9"]), MTGRPOConfig()
    )
    assert "trainer.total_epochs=2 has no effect: a task sampler has no epochs" in caplog.text


@pytest.mark.parametrize("override", ["trainer.use_v1=False", "trainer.v1.trainer_mode=sync"])
def test_a_trainer_of_verls_own_is_refused_where_it_reads_the_data(override):
    with pytest.raises(ConfigError, match=r"only the plugin's trainers read the section mt_grpo"):
        options.refuse_another_trainer(compose_config([override]).data)
    options.refuse_another_trainer(compose_config([]).data)
    alone = compose_config([override])
    del alone.mt_grpo
    options.refuse_another_trainer(alone.data)
    options.refuse_another_trainer(OmegaConf.create({}))


# ---------------------------------------------------------------------- what is set


def test_the_mini_batches_between_two_weight_syncs_are_counted_where_they_are_not_given(caplog):
    with caplog.at_level(logging.INFO):
        config = check("+mt_grpo=mt_grpo_async")
    assert config.trainer.v1.separate_async.parameter_sync_step == 4
    assert "trainer.v1.separate_async.parameter_sync_step is set to 4: data.train_batch_size over" in caplog.text


def test_the_kl_loss_has_verl_s_coefficient_and_one_of_zero_is_said(caplog):
    config = compose_config(["actor_rollout_ref.actor.use_kl_loss=True"])
    assert config.actor_rollout_ref.actor.kl_loss_coef == 0.001
    options.warn_of_options_without_effect(config, MTGRPOConfig())
    assert "kl_loss" not in caplog.text
    config.actor_rollout_ref.actor.kl_loss_coef = 0
    options.warn_of_options_without_effect(config, MTGRPOConfig())
    assert "actor.kl_loss_coef=0: the KL loss is computed, " in caplog.text


def test_what_was_given_is_replaced_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        config = check("data.dataloader_num_workers=4", "data.gen_batch_size=16")
    assert (config.data.dataloader_num_workers, config.data.gen_batch_size) == (0, 1)
    assert "data.dataloader_num_workers=4 is set to 0: workers prefetch prompts" in caplog.text
    assert "data.gen_batch_size=16 is set to 1: " in caplog.text


def test_what_was_left_open_is_set_with_a_line_at_info(caplog):
    with caplog.at_level(logging.INFO):
        config = check()
    assert config.data.gen_batch_size == 1
    assert [(r.levelname, r.message) for r in caplog.records if "gen_batch_size" in r.message] == [
        ("INFO", "data.gen_batch_size is set to 1: each prompt is asked for by its task, one at a time.")
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        set_defaults(config)
    assert not caplog.records


@pytest.mark.parametrize(("drops", "said"), [(True, False), (False, True)])
def test_the_kl_term_in_groups_of_equal_rewards_is_said_where_they_are_trained_on(drops, said, caplog):
    config = compose_config(["algorithm.use_kl_in_reward=True"])
    settings = MTGRPOConfig(sampler=RoundsSettings(drop_uninformative=drops, ratio=drops))
    options.warn_of_options_without_effect(config, settings)
    assert ("groups whose rewards are equal are trained on the KL term alone" in caplog.text) == said
