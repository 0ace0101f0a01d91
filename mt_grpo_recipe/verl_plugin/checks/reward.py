"""A reward function of the user's own, in `reward.custom_reward_function`: missed before models are loaded."""

from __future__ import annotations

import logging
import os
from typing import Any

import ray
from omegaconf import DictConfig
from verl.utils.import_utils import load_module

from mt_grpo_recipe.config import MTGRPOConfig

logger = logging.getLogger(__name__)


def _own_reward(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    """Load the function as verl's reward workers will: one that is not there fails every group, and no more."""
    chosen = config.reward.custom_reward_function
    if not chosen.path:
        return None
    given = f"reward.custom_reward_function.path={chosen.path}, reward.custom_reward_function.name={chosen.name}"
    try:
        module: Any = load_module(str(chosen.path))
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        cause = error.__cause__ or error
        said = f"{given}: it cannot be loaded: {type(cause).__name__}: {cause}."
        if _workers_are_elsewhere():
            logger.warning(
                "%s It may be there on the machines of the reward workers, which cannot be known here.", said
            )
            return None
        return f"{said} Give a file that exists, or pkg://MODULE for a module that can be imported."
    if callable(getattr(module, str(chosen.name), None)):
        return None
    functions = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    return (
        f"{given}: no function has that name there; it has {', '.join(functions) or 'none'}. Name one of its functions."
    )


def _workers_are_elsewhere() -> bool:
    """Whether reward workers may run on a machine other than this one."""
    if os.environ.get("RAY_ADDRESS", "").startswith("ray://"):
        return True
    return ray.is_initialized() and len(ray.nodes()) > 1


RULES = (_own_reward,)
