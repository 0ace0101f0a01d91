"""Options that a command adds with `+` and that verl does not have."""

import pytest

from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks.added import unknown_options, without_values


@pytest.fixture(scope="module")
def plain():
    return compose_config(["+experiment=exp1"])


def told(plain, *overrides):
    # No other option is read of the composed config than whether a name without dots is in it.
    return unknown_options(overrides, plain, plain)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "+data.max_prompt_lenght=10",
            "data.max_prompt_lenght is no option of verl, which does not read it. Did you mean data.max_prompt_length?",
        ),
        (
            "++data.truncationn=left",
            "data.truncationn is no option of verl, which does not read it. Did you mean data.",
        ),
        ("+trainr.total_epochs=3", "trainr is no option of verl, which does not read it. Did you mean trainer?"),
        ("++trainer.v1={trainer_mod: x}", "trainer.v1.trainer_mod is no option of verl"),
        ("+actor_rollout_ref.actor.optim.lrr=1", "actor_rollout_ref.actor.optim.lrr is no option of verl"),
        (
            "+data.zzzz=1",
            "data.zzzz is no option of verl, which does not read it. Only code of your own could read it.",
        ),
    ],
)
def test_an_option_that_verl_does_not_have_is_told_with_the_nearest(plain, override, sentence):
    [said] = told(plain, override)
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    "override",
    [
        "data.train_batch_size=4",
        "++data.train_batch_size=4",
        "++actor_rollout_ref.rollout.name=vllm",
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
        "+actor_rollout_ref.rollout.engine_kwargs.vllm.max_num_seqs=1",
        "+data.apply_chat_template_kwargs.enable_thinking=False",
        "+reward.custom_reward_function.reward_kwargs.x=1",
        "+ray_kwargs.ray_init.runtime_env.env_vars.A=b",
        "+trainer.remove_previous_ckpt_in_save=True",
        "+data.need_tools_kwargs=True",
        "+mt_grpo.lamda=1",
        "+mt_grpo=mt_grpo_lean",
        "+experiment=exp1",
        "+platform=cpu",
        "~data.seed",
    ],
)
def test_what_verl_has_hands_on_or_asks_for_is_not_told(plain, override):
    assert told(plain, override) == []


def test_config_files_stay_and_values_go():
    given = ["+mt_grpo=mt_grpo_lean", "+experiment=exp1", "data.seed=1", "+data.x=1", "+flag=1", "model_engine=dp"]
    assert without_values(given, compose_config(["+flag=1"])) == [*given[:2], given[-1]]
