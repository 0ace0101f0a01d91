"""What is refused before anything expensive starts: one function per rule, which returns a sentence or None.

What is set rather than refused is in `defaults.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from omegaconf import DictConfig

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.checks import (
    beside_training,
    datasets,
    devices,
    distillation,
    method,
    options,
    reward,
    rollouts,
    rows,
    updates,
)
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE

OWN_REWARD = "pkg://reward_fns"

Rule = Callable[[DictConfig, MTGRPOConfig], str | None]
"""(verl's whole training config, the checked section `mt_grpo`) -> what is wrong, as a sentence, or None."""

RULES: tuple[Rule, ...] = (
    *(method.RULES + distillation.RULES + updates.RULES + rollouts.RULES + devices.RULES + options.RULES),
    *(datasets.RULES + rows.RULES + reward.RULES),
)
"""What holds in every trainer mode."""

ASYNC_RULES: tuple[Rule, ...] = beside_training.RULES
"""What holds where rollouts go on while the policy is trained: trainer mode mt_grpo_async."""


def check_version() -> None:
    """Refuse any verl but the one whose private names this plugin uses."""
    version = installed_verl_version()
    if version != VERL_VERSION:
        raise ConfigError(
            f"verl {version} is installed; mt-grpo-recipe needs {VERL_VERSION}: pip install verl=={VERL_VERSION}"
        )


def check_training_config(config: DictConfig, mt_grpo: MTGRPOConfig) -> None:
    """Refuse settings of verl that contradict the method. Changes nothing.

    Args:
        config: verl's whole training config.
        mt_grpo: the checked section `mt_grpo`.

    Raises:
        ConfigError: lists every setting that cannot be used.
    """
    rules = RULES + (ASYNC_RULES if config.trainer.v1.trainer_mode == ASYNC_MODE else ())
    _refuse([refusal for rule in rules if (refusal := rule(config, mt_grpo)) is not None])


def check_data(config: DictConfig, num_rows: int | None, data_sources: Iterable[str]) -> None:
    """Refuse a batch larger than the data, and rows that no reward function knows.

    Args:
        config: verl's whole training config.
        num_rows: rows of the tasks to train; None: not known.
        data_sources: every distinct `data_source` of the tasks to train and of the validation data.

    Raises:
        ConfigError: lists everything that is wrong.
    """
    refusals = []
    batch_size = config.data.train_batch_size
    if num_rows is not None and batch_size > num_rows:
        refusals.append(
            f"data.train_batch_size={batch_size} is larger than the training data ({num_rows} rows): a batch would "
            f"hold a prompt twice. Use a batch of at most {num_rows}, or more data."
        )
    if _is_own_reward(config.reward.custom_reward_function.path):
        refusals += [refusal for source in sorted(set(data_sources)) if (refusal := _unknown_source(source))]
    _refuse(refusals)


def _is_own_reward(path: str | None) -> bool:
    """Whether verl loads this package's reward function from there."""
    import reward_fns

    return path is not None and (
        path == OWN_REWARD or Path(path).resolve().is_relative_to(Path(reward_fns.__file__).parent)
    )


def _unknown_source(data_source: str) -> str | None:
    from reward_fns.registry import task_for

    try:
        task_for(data_source)
    except ValueError as error:
        return str(error)
    return None


def _refuse(refusals: list[str]) -> None:
    if refusals:
        raise ConfigError(numbered(refusals))


def numbered(sentences: list[str]) -> str:
    """One sentence as it is; several as a numbered list, one per line, under their count."""
    if len(sentences) == 1:
        return sentences[0]
    lines = [f"  {number}. {sentence}" for number, sentence in enumerate(sentences, start=1)]
    return "\n".join([f"{len(sentences)} things are wrong:", *lines])
