"""Hydra configs (`+mt_grpo=<method>`), and how they become settings.

The section `mt_grpo` is flat: `weights` and `sampler` list the fields of every rule and schedule, and null leaves a
field at its default. A value for a field that the chosen rule or schedule does not read is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt_grpo_recipe.algorithm.settings import (
    RULES,
    SCHEDULES,
    BatchSettings,
    GeneralSettings,
    ImprovementSettings,
    MTGRPOConfig,
    RewardSettings,
    SettingError,
)

__all__ = [
    "ConfigError",
    "MTGRPOConfig",
    "load_config",
    "naming_the_option",
    "unread_improvement",
    "unread_settings",
    "validates_as_it_trains",
]

Settings = TypeVar("Settings")

SECTIONS = ("weights", "improvement", "sampler", "rewards")

_FILTER = (
    "mt_grpo.sampler.informative=mixed for strict, mt_grpo.sampler.informative=spread for lenient, "
    "mt_grpo.sampler.drop_uninformative=false for off"
)
RENAMED = {
    ("sec", "learning_rate"): "mt_grpo.weights.alpha",
    ("regularized", "weight_decay"): "mt_grpo.weights.eta",
    **{(schedule, "filter"): _FILTER for schedule in SCHEDULES},
}
"""(Rule or schedule, former field) -> what to write instead."""

UNREAD = {"budget": ("quota", "oversample", "max_resample_rounds")}
"""Schedule -> fields of others that experiments set for all methods alike: checked, reported, and not read."""


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
        spans = error.name.startswith(tuple(f"{name}." for name in SECTIONS))
        prefix = "mt_grpo." if spans else f"mt_grpo.{section}"
        raise ConfigError(f"{prefix}{error.name}{error.problem}") from error


def load_config(section: Any) -> MTGRPOConfig:
    """Turn the `mt_grpo` section of a training config into checked settings.

    Raises:
        ConfigError: the section is missing, has an unknown key, a value of the wrong type or out of bounds, or one that
            the chosen rule or schedule does not read.
    """
    if section is None:
        raise ConfigError("The config has no section `mt_grpo`. Add to the command line: +mt_grpo=mt_grpo")
    try:
        given: Any = OmegaConf.to_container(OmegaConf.create(section), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"mt_grpo.{error.full_key or ''}: {str(error).splitlines()[0]}") from error
    weights, improvement, sampler, rewards = (_section(given, name) for name in SECTIONS)
    rule = _choose("weights.rule", weights.pop("rule", None) or "improvement_aware", RULES)
    schedule = _choose("sampler.schedule", sampler.pop("schedule", None) or "rounds", SCHEDULES)
    unread = UNREAD.get(schedule.schedule, ())
    _read(BatchSettings, {name: value for name, value in sampler.items() if name in unread}, "sampler")
    sampler = {name: value for name, value in sampler.items() if name not in unread}
    parts = {
        "weights": _read(rule, weights, "weights", "rule", RULES),
        "improvement": _read(ImprovementSettings, improvement, "improvement"),
        "sampler": _read(schedule, sampler, "sampler", "schedule", SCHEDULES),
        "rewards": _read(RewardSettings, rewards, "rewards"),
    }
    general = _read(GeneralSettings, given, "")
    with naming_the_option():
        return MTGRPOConfig(**vars(general), **parts)


def unread_settings(config: MTGRPOConfig) -> str | None:
    """A sentence naming the settings that the chosen schedule does not read; None where it reads all."""
    schedule = config.sampler.schedule
    if schedule not in UNREAD:
        return None
    names = ", ".join(f"mt_grpo.sampler.{name}" for name in UNREAD[schedule])
    return f"mt_grpo.sampler.schedule={schedule} does not read {names}: their values have no effect."


def unread_improvement(config: MTGRPOConfig) -> str | None:
    """A sentence naming what was set of `improvement` for a rule that does not read it; None where that is nothing."""
    default = ImprovementSettings()
    values = {name: getattr(config.improvement, name) for name in ("reduction", "probe_fraction")}
    given = [f"mt_grpo.improvement.{name}={value}" for name, value in values.items() if value != getattr(default, name)]
    if config.weights.reads_improvement or not given:
        return None
    return (
        f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect: mt_grpo.weights.rule="
        f"{config.weights.rule} does not read the improvement."
    )


def validates_as_it_trains(rollout: DictConfig) -> bool:
    """Whether validation samples as training does, so that their accuracies can be compared.

    verl reads no more than these three: `val_kwargs.do_sample` has no effect.

    Args:
        rollout: the section `actor_rollout_ref.rollout` of verl's config.
    """
    validation = rollout.val_kwargs
    return all(validation[name] == rollout[name] for name in ("temperature", "top_p", "top_k"))


def _section(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Take a section out of the config.

    Raises:
        ConfigError: it is a value.
    """
    section = given.pop(name, None) or {}
    if not isinstance(section, dict):
        raise ConfigError(
            f"mt_grpo.{name}={section!r} cannot be used: it is a section, so set mt_grpo.{name}.<setting>."
        )
    return section


def _choose(name: str, value: Any, choices: Mapping[str, type[Settings]]) -> type[Settings]:
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"mt_grpo.{name}={value!r} cannot be used: it must be one of {', '.join(choices)}.")
    return choices[value]


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
        if renamed := RENAMED.get((chosen, key)):
            raise ConfigError(f"{prefix}{key}={values[key]!r} was renamed: use {renamed}.")
        if key in known:
            raise ConfigError(
                f"{prefix}{key}={values[key]!r} would have no effect with {prefix}{chooser}={chosen}, which reads "
                f"{', '.join(mine)}. Leave it out."
            )
        raise ConfigError(_unknown(key, prefix, known if section else known | set(SECTIONS)))
    known_types = OmegaConf.structured(settings)
    for key, value in values.items():
        _check_kind(settings, key, value, prefix)
        try:
            OmegaConf.merge(known_types, {key: value})
        except OmegaConfBaseException as error:
            raise ConfigError(f"{prefix}{error.full_key or key}: {str(error).splitlines()[0]}") from error
    try:
        with naming_the_option(f"{section}." if section else ""):
            return OmegaConf.to_object(OmegaConf.merge(known_types, values))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{prefix}{error.full_key or '*'}: {str(error).splitlines()[0]}") from error


def _unknown(key: str, prefix: str, known: Collection[str]) -> str:
    """That a key is unknown, with those there are, and the nearest of all settings."""
    nearest = [prefix + name for name in get_close_matches(key, known, 1)]
    if not nearest:
        parts = {"weights": RULES.values(), "sampler": SCHEDULES.values()}
        parts |= {"improvement": [ImprovementSettings], "rewards": [RewardSettings], "": [GeneralSettings]}
        places = {field.name: part for part, kinds in parts.items() for kind in kinds for field in fields(kind)}
        nearest = [f"mt_grpo.{places[name]}.{name}".replace("..", ".") for name in get_close_matches(key, places, 1)]
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"{prefix}{key} is unknown; there are {', '.join(prefix + name for name in sorted(known))}.{hint}"


def _check_kind(settings: type, key: str, value: Any, prefix: str) -> None:
    """Refuse a value for a list or a dict that is none, or whose entries are lists where they must not be, or not."""
    hint = get_type_hints(settings)[key]
    kind, item = next(
        (
            (get_origin(part), get_args(part)[-1])
            for part in (hint, *get_args(hint))
            if get_origin(part) in (list, dict)
        ),
        (None, None),
    )
    if kind is None:
        return
    nested = get_origin(item) is list
    if not isinstance(value, kind):
        if kind is dict:
            allowed = "dict, one entry per task"
        elif nested:
            allowed = "list of lists"
        else:
            allowed = "list: " + ("the entries alone, as in [1,2]" if isinstance(value, dict) else f"[{value}]")
        raise ConfigError(f"{prefix}{key}={value!r} cannot be used: it must be a {allowed}.")
    entries = value.values() if isinstance(value, dict) else value
    for entry in entries if item is not Any else ():
        if isinstance(entry, dict) or isinstance(entry, list) != nested:
            allowed = "a list, such as [[a],[b,c]] for two" if nested else "a single value"
            raise ConfigError(
                f"{prefix}{key}={value!r} cannot be used: each entry must be {allowed}; {entry!r} is not."
            )
