"""Which method a run trained, and from which seed."""

from __future__ import annotations

import json
import re
from pathlib import Path

RUN_FILE = "run.json"
"""Holds {"method": "mt_grpo", "seed": 0, "label": optional}."""


def identify(path: Path) -> tuple[str, int | None, str | None, list[str]]:
    """Method, seed and label of a run, from `run.json` or else from the name, and what is wrong with `run.json`."""
    directory = path if path.is_dir() else path.parent
    method, seed = _from_name(path)
    file = directory / RUN_FILE
    if not file.is_file():
        return method, seed, None, []
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return method, seed, None, [f"{RUN_FILE} is not a JSON object; method and seed are taken from the name"]
    problems = []
    if isinstance(said.get("method"), str) and said["method"]:
        method = said["method"]
    else:
        problems.append(f'{RUN_FILE} has no "method"; it is taken from the name')
    if isinstance(said.get("seed"), int) and not isinstance(said["seed"], bool):
        seed = said["seed"]
    label = said.get("label")
    return method, seed, label if isinstance(label, str) and label else None, problems


def _from_name(path: Path) -> tuple[str, int | None]:
    path = path.resolve()
    name, parent = path.name, path.parent
    if path.is_file():
        # A name such as "attempt-2" or "metrics-20260131-1200" says nothing: the directory's does.
        stem = Path(name.removesuffix(".gz")).stem
        attempt = re.fullmatch(r"(attempt|log|metrics|run|train)?[-_.\d]*", stem)
        name, parent = (parent.name, parent.parent) if attempt else (stem, parent)
    match = re.fullmatch(r"(.*?)[-_.]*(?:seed|(?<![a-zA-Z])s)[-_.=]*(\d+)", name)
    if match is None:
        return name, None
    return match[1] or parent.name, int(match[2])
