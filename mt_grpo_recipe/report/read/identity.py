"""Which method a run trained, and from which seed."""

from __future__ import annotations

import json
import re
from pathlib import Path

RUN_FILE = "run.json"
"""Holds {"method": "mt_grpo", "seed": 0, "label": optional}."""

_PLAIN = re.compile(r"(attempt|log|metrics|run|train|)[-_.\d]*")
"""Names of logs that say nothing of the run, such as "attempt-2" or "metrics-20260131-1200"."""
_SEED = re.compile(r"(.*?)[-_.]*(?:seed|(?<![a-zA-Z])s)[-_.=]*(\d+)")
_ATTEMPT = re.compile(r"(.*[^-_])(?<!\de)[-_]+\d+")
"""Ends in the number of an attempt. The 5 of "lr1e-5" and the 2 of "mt_grpo_0.2" are none: they set runs apart."""


def name_of_run(log: Path) -> str:
    """What the logs of one run share in their names: all but the number of the attempt at the end.

    It is "metrics" for `metrics-1.jsonl` and `metrics-20260131-1200.jsonl`. A seed belongs to the name: it is
    "exp_seed0" for `exp_seed0.jsonl` and for `exp_seed0-2.jsonl`.
    """
    stem = Path(log.name.removesuffix(".gz")).stem
    plain = _PLAIN.fullmatch(stem)
    if plain:
        return plain[1]
    while not _SEED.fullmatch(stem) and (numbered := _ATTEMPT.fullmatch(stem)):
        stem = numbered[1]
    return stem


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
        run = name_of_run(path)
        # Where the file's name says nothing, the directory's does.
        name, parent = (parent.name, parent.parent) if _PLAIN.fullmatch(run) else (run, parent)
    match = _SEED.fullmatch(name)
    if match is None:
        return name, None
    return match[1] or parent.name, int(match[2])
