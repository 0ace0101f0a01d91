"""The settings of a run in the laboratory: verl's training config, composed as for the miniature comparison."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig, load_config

WARM_MODEL = Path(__file__).resolve().parents[1] / "mini" / "warm_model"
READ = (
    "actor_rollout_ref.actor.clip_ratio_c",
    "actor_rollout_ref.actor.clip_ratio_high",
    "actor_rollout_ref.actor.clip_ratio_low",
    "actor_rollout_ref.actor.optim.betas",
    "actor_rollout_ref.actor.optim.clip_grad",
    "actor_rollout_ref.actor.optim.lr",
    "actor_rollout_ref.actor.optim.weight_decay",
    "actor_rollout_ref.actor.ppo_mini_batch_size",
    "actor_rollout_ref.model.path",
    "actor_rollout_ref.rollout.n",
    "actor_rollout_ref.rollout.seed",
    "actor_rollout_ref.rollout.temperature",
    "actor_rollout_ref.rollout.val_kwargs.n",
    "actor_rollout_ref.rollout.val_kwargs.temperature",
    "algorithm.norm_adv_by_std_in_grpo",
    "data.max_response_length",
    "data.train_batch_size",
    "mt_grpo",
    "trainer.test_freq",
    "trainer.total_training_steps",
)
"""Settings that the laboratory reads, or sections that it reads except for `UNREAD`."""
UNREAD = (
    "mt_grpo.improvement.granularity",
    "mt_grpo.improvement.probe_fraction",
    "mt_grpo.sampler.poll_interval_s",
    "mt_grpo.sampler.stall_timeout_s",
    "mt_grpo.sampler.surplus",
    "mt_grpo.task_key",
)


def miniature(method: str, seed: int, steps: int) -> list[str]:
    """What `run_scripts/mini/run.sh` adds to method and experiment."""
    overrides = [
        f"actor_rollout_ref.model.path={WARM_MODEL}",
        f"actor_rollout_ref.rollout.seed={seed}",
        f"mt_grpo.seed={seed}",
        "actor_rollout_ref.rollout.val_kwargs.n=2",
        f"trainer.total_training_steps={steps}",
    ]
    if method == "mt_grpo_targets":
        return overrides
    if method.startswith("mt_grpo") or method == "grpo_iwu":
        overrides.append("mt_grpo.weights.learning_rate=0.1")
        if method != "mt_grpo_reg":
            overrides.append("mt_grpo.improvement.reduction=sum")
    return overrides


def compose_settings(method: str, seed: int, steps: int, overrides: list[str]) -> tuple[DictConfig, MTGRPOConfig]:
    """Compose verl's training config for a run of the miniature comparison.

    verl is not imported: only its YAML files are read.

    Args:
        method: a file of `mt_grpo_recipe/config/mt_grpo`.
        seed: of quotas, prompts and answers.
        steps: training steps.
        overrides: of verl's command line; they come last.

    Returns:
        The whole config, and its checked section `mt_grpo`.

    Raises:
        ConfigError: a setting cannot be used, or is one that the laboratory does not model.
    """
    mini = miniature(method, seed, steps)
    config = _compose([f"+mt_grpo={method}", "+experiment=mini", *mini, *overrides])
    _refuse_unread(config, _compose(["+mt_grpo=grpo", "+experiment=mini"]))
    batch, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch != mini_batch:
        raise ConfigError(
            f"data.train_batch_size={batch} and actor_rollout_ref.actor.ppo_mini_batch_size={mini_batch}: the "
            "laboratory makes one update per step. Set both to the same number."
        )
    return config, load_config(config.mt_grpo)


def _compose(overrides: list[str]) -> DictConfig:
    verl = importlib.util.find_spec("verl")
    if verl is None or not verl.submodule_search_locations:
        raise ConfigError("verl is not installed, and its YAML files are needed: bash run_scripts/setup.sh cpu")
    folder = Path(verl.submodule_search_locations[0]).resolve() / "trainer" / "config"
    with initialize_config_dir(str(folder), version_base=None):
        try:
            return compose("ppo_trainer", overrides=["hydra.searchpath=[pkg://mt_grpo_recipe.config]", *overrides])
        except HydraException as error:
            raise ConfigError(f"the config does not compose: {error}") from error


def _refuse_unread(config: DictConfig, standard: DictConfig) -> None:
    """Refuse a setting that the laboratory would ignore: all that it does not read must be the miniature's."""
    given, expected = _leaves(config), _leaves(standard)
    ignored = [
        f"{name}={given.get(name)!r} (it has {expected.get(name)!r})"
        for name in sorted(given.keys() | expected.keys())
        if given.get(name) != expected.get(name) and not _is_read(name)
    ]
    if ignored:
        raise ConfigError(
            f"the laboratory does not model {'; '.join(ignored)}. Leave these settings out, or train with verl: "
            "run_scripts/mini/run.sh."
        )


def _is_read(name: str) -> bool:
    return name not in UNREAD and any(name == read or name.startswith(f"{read}.") for read in READ)


def _leaves(config: DictConfig) -> dict[str, Any]:
    """Dotted name -> value, lists whole and interpolations as written."""
    leaves: dict[str, Any] = {}
    nodes: list[tuple[str, Any]] = [("", OmegaConf.to_container(config))]
    while nodes:
        name, value = nodes.pop()
        if isinstance(value, dict) and value:
            nodes += [(f"{name}.{key}" if name else str(key), child) for key, child in value.items()]
        else:
            leaves[name] = value
    return leaves
