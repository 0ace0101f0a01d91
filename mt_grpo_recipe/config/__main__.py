"""The tables of README.md: every method with what it sets, every setting with its default, bounds and meaning.

    python -m mt_grpo_recipe.config             # print them
    python -m mt_grpo_recipe.config --write     # put them into README.md, in place of everything from "## Methods" on

Methods are read from their YAML files. A setting's default is that of its field, its meaning is the text below the
field, and its bounds are what the checks of its class allow.
"""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from mt_grpo_recipe.algorithm.settings import (
    RULES,
    SCHEDULES,
    GeneralSettings,
    ImprovementSettings,
    MTGRPOConfig,
    RewardSettings,
)

METHODS = Path(__file__).with_name("mt_grpo")
PAGE = Path(__file__).with_name("README.md")
BOUNDS = {"require_positive": "above 0", "require_at_least": "{} or more", "require_decay": "in [0, 1)"}
"""Check of `settings.bounds` -> what it allows; the braces stand for its third argument."""


def _dataclasses(settings: type) -> Iterator[type]:
    """A settings class and its bases, the topmost first."""
    return (part for part in reversed(settings.__mro__) if is_dataclass(part))


def class_body(settings: type) -> list[ast.stmt]:
    """The statements of a class, as written."""
    [definition] = ast.parse(inspect.getsource(settings)).body
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def meanings_of(settings: type) -> dict[str, str]:
    """The text below each field, by the field's name, with those of the base classes."""
    found = {}
    for part in _dataclasses(settings):
        body = class_body(part)
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                    found[name] = " ".join(meaning.split())
    return found


def bounds_of(settings: type) -> dict[str, str]:
    """What the checks allow, by the field's name, with those of the base classes."""
    found: dict[str, list[str]] = {}
    for part in _dataclasses(settings):
        for call in (node for statement in class_body(part) for node in ast.walk(statement)):
            match call:
                case ast.Call(func=ast.Name(id="require"), args=[_, name, _, ast.Constant(value=str(allowed))]):
                    pass
                case ast.Call(func=ast.Name(id="require_choice"), args=[name, _, choices]):
                    allowed = ", ".join(ast.literal_eval(choices))
                case ast.Call(func=ast.Name(id=check), args=[name, _, *least]) if check in BOUNDS:
                    allowed = BOUNDS[check].format(*map(ast.literal_eval, least))
                case _:
                    continue
            found.setdefault(_field_of(name), []).append(allowed)
    return {name: "; ".join(allowed) for name, allowed in found.items()}


def _field_of(name: ast.expr) -> str:
    """The field that a check names: "patience", or "targets" of f"targets[{task}]"."""
    return ast.literal_eval(name.values[0] if isinstance(name, ast.JoinedStr) else name).partition("[")[0]


def _default_of(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _written(value: Any) -> str:
    """A value as written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(_written, value))}]" if isinstance(value, list) else str(value)


def setting_rows(section: str, settings: type) -> Iterator[tuple[str, ...]]:
    """Name, default, bounds and meaning of every field of a settings class."""
    meanings, bounds = meanings_of(settings), bounds_of(settings)
    for field in fields(settings):
        kind = {"bool": "true or false; ", "int": "whole number, "}.get(str(field.type), "")
        allowed = (kind + bounds.get(field.name, "")).removesuffix("; ")
        yield f"`mt_grpo.{section}{field.name}`", f"`{_written(_default_of(field))}`", allowed, meanings[field.name]


def chosen_rows(section: str, choices: Mapping[str, type]) -> Iterator[tuple[str, ...]]:
    """The same for a section whose settings depend on a choice, with the choices that read them after the name."""
    readers: dict[tuple[str, ...], list[str]] = {}
    for choice, settings in choices.items():
        for row in setting_rows(section, settings):
            readers.setdefault(row, []).append(f"`{choice}`")
    for (name, *rest), names in readers.items():
        yield name, "all" if len(names) == len(choices) else ", ".join(names), *rest


def choices_of(choices: Mapping[str, type]) -> Iterator[tuple[str, str]]:
    """What can be chosen, and what it is."""
    for choice, settings in choices.items():
        purpose = " ".join((inspect.getdoc(settings) or "").split("`: ", 1)[1].split())
        yield f"`{choice}`", purpose[0].upper() + purpose[1:]


def method_rows() -> Iterator[tuple[str, str, str]]:
    """Name of each method, the comment at the head of its file, and what it sets."""
    for path in sorted(METHODS.glob("*.yaml")):
        _, *lines = path.read_text(encoding="utf-8").split("\ndefaults:")[0].splitlines()
        sets = yaml.safe_load(path.read_text(encoding="utf-8"))
        del sets["defaults"]
        yield f"`{path.stem}`", " ".join(line.removeprefix("# ") for line in lines), "<br>".join(flat(sets))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested values as overrides of the command line."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"`{prefix}{key}={_written(value)}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def markdown() -> str:
    """The generated part of README.md: methods, then settings by section."""
    settings, chosen = (
        ("setting", "default", "allowed", "meaning"),
        ("setting", "read by", "default", "allowed", "meaning"),
    )
    rule, schedule = MTGRPOConfig().weights.rule, MTGRPOConfig().sampler.schedule
    return "\n".join(
        [
            "## Methods\n",
            table(("method", "what it is", "what it sets"), method_rows()),
            "## Settings of no section\n",
            table(settings, setting_rows("", GeneralSettings)),
            f"## Task weights: `mt_grpo.weights`\n\n`mt_grpo.weights.rule` says how z moves; `{rule}` unless set.\n",
            table(("rule", "what it is"), choices_of(RULES)),
            table(chosen, chosen_rows("weights.", RULES)),
            "## Improvement: `mt_grpo.improvement`\n",
            table(settings, setting_rows("improvement.", ImprovementSettings)),
            "## Sampler: `mt_grpo.sampler`\n\n`mt_grpo.sampler.schedule` says how a step generates its batch; "
            f"`{schedule}` unless set.\n",
            table(("schedule", "what it is"), choices_of(SCHEDULES)),
            table(chosen, chosen_rows("sampler.", SCHEDULES)),
            "## Rewards: `mt_grpo.rewards`\n",
            table(settings, setting_rows("rewards.", RewardSettings)),
        ]
    )


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    if not parser.parse_args().write:
        print(markdown(), end="")
        return
    written, _, _ = PAGE.read_text(encoding="utf-8").partition("## Methods\n")
    PAGE.write_text(written + markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
