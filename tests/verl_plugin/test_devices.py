"""What the devices and their packages must allow."""

import pytest
from commands import GROUP_OF_8, check

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin.checks import devices


def test_engines_may_be_of_any_size_that_fills_the_gpus():
    sizes = ("tensor_model_parallel_size=2", "pipeline_model_parallel_size=2")
    engine = [f"actor_rollout_ref.rollout.{size}" for size in sizes]
    check("trainer.n_gpus_per_node=2", "trainer.nnodes=2", *engine)
    with pytest.raises(ConfigError, match=r"needs 4 GPUs \(.*=2, pipeline_model.*=2\), but the run has 2 "):
        check("trainer.n_gpus_per_node=2", *engine)
    check("trainer.n_gpus_per_node=1", "actor_rollout_ref.rollout.tensor_model_parallel_size=1")


@pytest.mark.parametrize(
    ("overrides", "installed", "refused"),
    [
        ([], (), True),
        ([], ("flash_attn",), False),
        ([], ("torch_npu",), False),
        (["+actor_rollout_ref.model.override_config.attn_implementation=sdpa"], (), False),
        (["+actor_rollout_ref.model.override_config.attn_implementation=flash_attention_2"], (), True),
    ],
)
def test_an_attention_whose_package_is_missing_is_refused(monkeypatch, overrides, installed, refused):
    monkeypatch.setattr(devices, "find_spec", lambda name: name if name in installed else None)
    config = compose_config([GROUP_OF_8, *overrides])
    if not refused:
        devices.check_attention(config)
        return
    with pytest.raises(ConfigError, match=r"needs flash-attn, and that is not installed\. Install it: .*=sdpa"):
        devices.check_attention(config)


@pytest.mark.parametrize(
    ("device", "environment", "refused"),
    [
        ("cpu", "cpu", None),
        ("cuda", None, None),
        ("npu", None, None),
        ("cpu", None, r"trainer\.device=cpu .* source run_scripts/common\.sh && use_cpu"),
        ("cuda", "cpu", r"VERL_PLATFORM=cpu, but trainer\.device=cuda\. .* add \+platform=cpu"),
    ],
)
def test_a_platform_needs_its_environment_and_the_other_way_round(monkeypatch, device, environment, refused):
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    if environment:
        monkeypatch.setenv("VERL_PLATFORM", environment)
    config = compose_config([GROUP_OF_8])
    config.trainer.device = device
    if refused is None:
        devices.check_platform(config)
        return
    with pytest.raises(ConfigError, match=refused):
        devices.check_platform(config)


def test_a_platform_whose_device_verl_has_replaced_still_needs_its_environment(monkeypatch):
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    config = compose_config([GROUP_OF_8, "+platform=cpu"])
    config.trainer.device = "cuda"
    with pytest.raises(ConfigError, match=r"source run_scripts/common\.sh && use_cpu"):
        devices.check_platform(config)
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    devices.check_platform(compose_config([GROUP_OF_8, "+platform=cpu"]))
