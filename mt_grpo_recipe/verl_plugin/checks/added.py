"""Options that a command adds with `+` to sections of verl that have no such option: a misspelled one has no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

PASSED_ON = re.compile(r"override_\w+|\w*kwargs|hydra|mt_grpo")
"""Sections that verl hands on as they are, or that are checked elsewhere."""


def without_values(overrides: Sequence[str], config: DictConfig) -> list[str]:
    """The overrides that choose config files, without those that set options.

    Args:
        overrides: of a training command.
        config: what they compose to.
    """
    return [str(given.input_line) for given in _parsed(overrides) if not _sets_option(given, config)]


def unknown_options(overrides: Sequence[str], config: DictConfig, plain: DictConfig) -> list[str]:
    """A sentence about each added option that neither verl's config nor its code knows in that section.

    Args:
        overrides: of a training command.
        config: what they compose to.
        plain: what `without_values` composes to.
    """
    sentences = []
    for given in _parsed(overrides):
        if not (given.is_add() or given.is_force_add()) or not _sets_option(given, config):
            continue
        for section, key, there in _missing(given.key_or_group, given.value(), plain):
            if not _is_read(there, key):
                nearest = get_close_matches(key, map(str, there), 1)
                remedy = f"Did you mean {section}{nearest[0]}?" if nearest else "Only code of your own could read it."
                sentences.append(f"{section}{key} is no option of verl, which does not read it. {remedy}")
    return list(dict.fromkeys(sentences))


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _sets_option(given: Override, config: DictConfig) -> bool:
    """Whether an override sets an option; else it chooses a config file, as +experiment=exp1 does."""
    key = given.key_or_group
    if given.package is not None or "/" in key:
        return False
    # A section such as mt_grpo is what the file of that name holds.
    return "." in key or (given.is_add() and key in list(config) and key != "mt_grpo")


def _missing(name: str, value: Any, plain: DictConfig) -> Iterator[tuple[str, str, DictConfig]]:
    """Each option below a name that the config lacks, as (its section with a dot, its key, what is in the section)."""
    there: Any = plain
    parts = name.split(".")
    for number, part in enumerate(parts):
        if PASSED_ON.fullmatch(part) or not isinstance(there, DictConfig) or not there:
            return
        if part not in list(there):  # `in` alone is False for an option that has no value yet.
            yield "".join(f"{above}." for above in parts[:number]), part, there
            return
        there = None if OmegaConf.is_missing(there, part) else there[part]
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _missing(f"{name}.{key}", inner, plain)


def _is_read(section: DictConfig, key: str) -> bool:
    """Whether verl reads an option that its config does not list: a field of the section's class, or one asked for."""
    if target := section.get("_target_"):
        kind = get_object(target)
        return is_dataclass(kind) and key in {field.name for field in fields(kind)}
    asked_for = re.compile(rf"""get\(\s*["']{re.escape(key)}["']""")
    sources = Path(str(resources.files("verl"))).rglob("*.py")
    return any(asked_for.search(source.read_text(encoding="utf-8")) for source in sources)
