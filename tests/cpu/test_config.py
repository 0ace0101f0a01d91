"""config/platform/cpu.yaml against verl's own configuration."""

import pytest
import verl  # noqa: F401 (loads the plugin)
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass

import mt_grpo_recipe.config

# Keys that verl's files leave out but its code takes: Ray's own arguments, dictionaries that are passed on whole, and
# dataclass fields with a default.
NEW = {
    "ray_kwargs.ray_init.num_gpus",
    "ray_kwargs.ray_init.include_dashboard",
    "actor_rollout_ref.model.override_config.attn_implementation",
    "actor_rollout_ref.rollout.enable_sleep_mode",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_memory_bytes",
    *(
        f"actor_rollout_ref.{role}.fsdp_config.mixed_precision.{kind}_dtype"
        for role in ("actor", "ref")
        for kind in ("param", "reduce", "buffer")
    ),
}


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def composed(*overrides):
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=list(overrides))


@pytest.fixture(scope="module")
def ours():
    file = OmegaConf.load(f"{mt_grpo_recipe.config.__path__[0]}/platform/cpu.yaml")
    return dict(leaves(OmegaConf.to_container(file)))


def test_every_key_reaches_the_run(ours):
    config = composed("+platform=cpu")
    assert {key: OmegaConf.select(config, key) for key in ours} == ours


def test_every_key_is_one_that_verl_knows(ours):
    plain = dict(leaves(OmegaConf.to_container(composed())))
    assert set(ours) - set(plain) == NEW


def test_a_flag_after_it_wins():
    config = composed("+platform=cpu", "reward.num_workers=3", "actor_rollout_ref.rollout.dtype=bfloat16")
    assert (config.reward.num_workers, config.actor_rollout_ref.rollout.dtype) == (3, "bfloat16")


def test_verl_takes_the_result_as_its_dataclasses():
    config = composed(
        "+platform=cpu",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1",
    ).actor_rollout_ref
    assert omega_conf_to_dataclass(config.actor).fsdp_config.mixed_precision["param_dtype"] == "fp32"
    assert omega_conf_to_dataclass(config.rollout).enable_sleep_mode is False
