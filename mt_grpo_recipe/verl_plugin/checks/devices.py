"""What the GPUs and their packages must allow. verl finds these errors minutes later, while it loads the model."""

from __future__ import annotations

from importlib.util import find_spec

from omegaconf import DictConfig

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.cpu import requested as cpu_requested
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE

FLASH_ATTENTION = "flash_attention_2"
"""The attention that verl loads a policy with if the config names none."""
ENGINE_SIZES = ("tensor_model_parallel_size", "data_parallel_size", "pipeline_model_parallel_size")

CPU_BACKEND = "mt_grpo_recipe.cpu.checkpoint_engine"
"""What `+platform=cpu` sets, and nothing else."""


def check_platform(config: DictConfig) -> None:
    """Refuse a config for the CPU without the environment variables that go with it, and these with another config.

    Args:
        config: verl's whole training config.

    Raises:
        ConfigError: says what to run, or to add.
    """
    device = config.trainer.device
    if cpu_requested():
        if device != "cpu":
            raise ConfigError(
                f"the environment has VERL_PLATFORM=cpu, but trainer.device={device}. To train on the CPU, add "
                "+platform=cpu; to train on GPUs, use a shell in which use_cpu of run_scripts/common.sh was not run"
            )
        return
    # Without the variables, verl has put another device in place of "cpu" by the time that a trainer is built.
    if device == "cpu" or config.actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module == CPU_BACKEND:
        raise ConfigError(
            "trainer.device=cpu (+platform=cpu) also needs environment variables that are not set. Run first: source "
            "run_scripts/common.sh && use_cpu"
        )


def check_attention(config: DictConfig) -> None:
    """Refuse an attention that needs a package which is not installed.

    Args:
        config: verl's whole training config.

    Raises:
        ConfigError: says what to install, or which attention to use instead.
    """
    model = config.actor_rollout_ref.model
    attention = model.override_config.get("attn_implementation", FLASH_ATTENTION)
    by_transformers = config.actor_rollout_ref.actor.strategy in ("fsdp", "fsdp2")
    # On Ascend NPUs transformers has this attention without the package.
    if attention != FLASH_ATTENTION or not by_transformers or find_spec("flash_attn") or find_spec("torch_npu"):
        return
    raise ConfigError(
        f"verl loads the policy with attention {attention}, which needs flash-attn, and that is not installed. Install "
        "it: pip install flash-attn --no-build-isolation (it is compiled, which needs nvcc). Or use torch's attention, "
        "which is slower: +actor_rollout_ref.model.override_config.attn_implementation=sdpa "
        "actor_rollout_ref.model.use_remove_padding=false"
    )


def _engines_fill_the_gpus(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if config.trainer.v1.trainer_mode == ASYNC_MODE:
        return None  # The engines have GPUs of their own.
    rollout, trainer = config.actor_rollout_ref.rollout, config.trainer
    gpus, engine = trainer.n_gpus_per_node * trainer.nnodes, 1
    for size in ENGINE_SIZES:
        engine *= rollout[size]
    if gpus % engine == 0:
        return None
    sizes = ", ".join(f"{size}={rollout[size]}" for size in ENGINE_SIZES if rollout[size] > 1)
    return (
        f"A rollout engine needs {engine} GPUs (actor_rollout_ref.rollout: {sizes}), but the run has {gpus} "
        f"(trainer.n_gpus_per_node={trainer.n_gpus_per_node} times trainer.nnodes={trainer.nnodes}), which is not a "
        f"multiple of {engine}. Use engines of a size that divides {gpus}, such as "
        "actor_rollout_ref.rollout.tensor_model_parallel_size=1, or another number of GPUs."
    )


RULES = (_engines_fill_the_gpus,)
