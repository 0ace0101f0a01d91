"""Hydra configs (`hydra.searchpath=[pkg://mt_grpo_recipe.config] +mt_grpo=<method>`), and how they become settings.

The section `mt_grpo` is flat: `weights` and `sampler` list the fields of every rule and schedule, and null leaves a
field at its default. A value for a field that the chosen rule or schedule does not read is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt_grpo_recipe.algorithm.settings import (
    RULES,
    SCHEDULES,
    GeneralSettings,
    ImprovementSettings,
    MTGRPOConfig,
    SettingError,
)

__all__ = ["ConfigError", "MTGRPOConfig", "load_config", "naming_the_option", "unread_settings"]

Settings = TypeVar("Settings")

RENAMED = {
    "sampler.filter": (
        "strict is mt_grpo.sampler.informative=mixed, lenient is mt_grpo.sampler.informative=spread, "
        "off is mt_grpo.sampler.drop_uninformative=false"
    ),
    "weights.learning_rate of sec": "mt_grpo.weights.alpha",
    "weights.weight_decay of regularized": "mt_grpo.weights.eta",
}
"""Field, for some with the rule it had the name in -> what to write instead."""


class ConfigError(ValueError):
    """A setting that cannot be used; the message says what was given, what is allowed and what to do."""


@contextmanager
def naming_the_option(section: str = "") -> Iterator[None]:
    """Turn a `SettingError` into a `ConfigError` that names the field as the command line does.

    Args:
        section: what to put between "mt_grpo." and the field's name, such as "weights.".
    """
    try:
        yield
    except SettingError as error:
        prefix = "mt_grpo." if error.name.startswith(("weights.", "improvement.")) else f"mt_grpo.{section}"
        raise ConfigError(f"{prefix}{error.name}{error.problem}") from error


def load_config(section: Any) -> MTGRPOConfig:
    """Turn the `mt_grpo` section of a training config into checked settings.

    Raises:
        ConfigError: the section is missing, has an unknown key, a value of the wrong type or out of bounds, or one that
            the chosen rule or schedule does not read.
    """
    if section is None:
        raise ConfigError(
            "The config has no section `mt_grpo`. Add to the command line: "
            "hydra.searchpath=[pkg://mt_grpo_recipe.config] +mt_grpo=mt_grpo"
        )
    try:
        given: Any = OmegaConf.to_container(OmegaConf.create(section), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"mt_grpo.{error.full_key or ''}: {str(error).splitlines()[0]}") from error
    weights, improvement, sampler = (given.pop(name, None) or {} for name in ("weights", "improvement", "sampler"))
    rule = _choose("weights.rule", weights.pop("rule", None) or "improvement_aware", RULES)
    schedule = _choose("sampler.schedule", sampler.pop("schedule", None) or "rounds", SCHEDULES)
    sampler = {name: value for name, value in sampler.items() if name not in schedule.ignored}
    parts = {
        "weights": _read(rule, weights, "weights", "rule", RULES),
        "improvement": _read(ImprovementSettings, improvement, "improvement"),
        "sampler": _read(schedule, sampler, "sampler", "schedule", SCHEDULES),
    }
    general = _read(GeneralSettings, given, "")
    with naming_the_option():
        return MTGRPOConfig(**vars(general), **parts)


def unread_settings(config: MTGRPOConfig) -> str | None:
    """A sentence naming the settings that the chosen schedule does not read; None where it reads all."""
    sampler = config.sampler
    if not sampler.ignored:
        return None
    names = ", ".join(f"mt_grpo.sampler.{name}" for name in sampler.ignored)
    return f"mt_grpo.sampler.schedule={sampler.schedule} does not read {names}: whatever they say has no effect."


def _choose(name: str, value: Any, choices: Mapping[str, type[Settings]]) -> type[Settings]:
    if value not in choices:
        raise ConfigError(f"mt_grpo.{name}={value!r} cannot be used: it must be one of {', '.join(choices)}.")
    return choices[value]


def _set_values(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


def _read(
    settings: type[Settings],
    given: Mapping[str, Any],
    section: str,
    chooser: str = "",
    choices: Mapping[str, type] | None = None,
) -> Settings:
    """Build one section's settings from the keys that are not null.

    Args:
        settings: the dataclass to build.
        given: keys and values of the section.
        section: its name.
        chooser: the key that chose `settings`, "" where there is no choice.
        choices: all that it could have chosen.
    """
    mine = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    known = {field.name for choice in (choices or {}).values() for field in fields(choice)} | set(mine)
    prefix = f"mt_grpo.{section}." if section else "mt_grpo."
    values = {key: value for key, value in given.items() if value not in (None, "???")}
    for key in values.keys() - set(mine):
        chosen = getattr(settings, chooser) if chooser else ""
        renamed = RENAMED.get(f"{section}.{key}") or RENAMED.get(f"{section}.{key} of {chosen}")
        if renamed:
            raise ConfigError(f"{prefix}{key}={values[key]!r} has another name now: {renamed}.")
        if key in known:
            raise ConfigError(
                f"{prefix}{key}={values[key]!r} would have no effect with {prefix}{chooser}={chosen}, which reads "
                f"{', '.join(mine)}. Leave it out."
            )
        raise ConfigError(f"{prefix}{key} is unknown; there are {', '.join(prefix + name for name in sorted(known))}.")
    try:
        with naming_the_option(f"{section}." if section else ""):
            return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(settings), values))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{prefix}{error.full_key or ''}: {str(error).splitlines()[0]}") from error
