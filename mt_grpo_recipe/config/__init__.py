"""Hydra configs (`hydra.searchpath=[pkg://mt_grpo_recipe.config] +mt_grpo=<method>`) and their validation."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt_grpo_recipe.config.schema import ConfigError, MTGRPOConfig

__all__ = ["ConfigError", "MTGRPOConfig", "load_config"]


def load_config(section: Any) -> MTGRPOConfig:
    """Turn the `mt_grpo` section of a training config into checked dataclasses.

    Raises:
        ConfigError: the section is missing, has an unknown key, a value of the wrong type or out of bounds.
    """
    if section is None:
        raise ConfigError(
            "The config has no section `mt_grpo`. Add to the command line: "
            "hydra.searchpath=[pkg://mt_grpo_recipe.config] +mt_grpo=mt_grpo"
        )
    try:
        merged = OmegaConf.merge(OmegaConf.structured(MTGRPOConfig), section)
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"mt_grpo.{error.full_key or ''}: {str(error).splitlines()[0]}") from error
    assert isinstance(config, MTGRPOConfig)
    return config
