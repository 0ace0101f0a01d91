"""The data of the paper's third experiment (arXiv 2602.05547): public benchmarks, and ARC puzzles made here."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.fields import Tally
from data_prep.manifest import refuse_to_replace
from data_prep.prepare import draw, write
from data_prep.public import Splits, read_math, read_science
from data_prep.table import Prompts

PARTS = {"exp3a": ("math", "arc", "chemistry", "physics"), "exp3b": ("biology", "chemistry", "physics", "materials")}
"""Tasks of each part, as `mt_grpo.tasks` of the config of the same name lists them."""


@dataclass(frozen=True)
class Sources:
    """Where the public benchmarks are; see `data_prep.sources.load` for what may be given."""

    math: str
    sciknoweval: str


@dataclass(frozen=True)
class Prepared:
    """Paths of the files by split, and what became of each benchmark's rows."""

    paths: dict[str, Path]
    tallies: dict[str, Tally]


def settings_of(part: str, sources: Sources, train: int, test: int, seed: int, prompts: Prompts) -> dict[str, Any]:
    """What the manifest of a part says was asked for; the arguments are those of `prepare_part`."""
    asked = {"part": part, "train": train, "test": test}
    return {"asked": asked, "sources": asdict(sources), "seed": seed, "prompts": prompts}


def prepare_part(
    part: str, out_dir: Path, sources: Sources, train: int, test: int, seed: int, prompts: Prompts
) -> Prepared:
    """Write the files of "exp3a" or "exp3b".

    Args:
        part: a key of `PARTS`.
        out_dir: where train.parquet, test.parquet and manifest.json go.
        sources: where the rows come from.
        train: most training rows per task.
        test: test rows per task.
        seed: of the split, and of the ARC puzzles.
        prompts: see `data_prep.table.to_table`.

    Raises:
        ValueError: as `read_math`, `read_science` and `draw`; or `out_dir` has files of other settings, or others'.
    """
    settings = settings_of(part, sources, train, test, seed, prompts)
    refuse_to_replace(out_dir, settings)
    wanted = PARTS[part]
    tasks: dict[str, Splits] = {}
    tallies: dict[str, Tally] = {}
    if "math" in wanted:
        tasks, tallies["math"] = read_math(sources.math, train, test, seed)
    if "arc" in wanted:
        train_rows, test_rows = draw({"arc-medium": train}, test, seed)
        tasks["arc-medium"] = {"train": train_rows["arc-medium"], "test": test_rows["arc-medium"]}
    domains = [task for task in wanted if task not in ("math", "arc")]
    science, tallies["sciknoweval"] = read_science(sources.sciknoweval, domains, train, test, seed)
    tasks |= science
    out_dir.mkdir(parents=True, exist_ok=True)
    origin = {
        "tasks": {name: {split: len(rows) for split, rows in splits.items()} for name, splits in tasks.items()},
        "rows": {name: tally.as_dict() for name, tally in tallies.items()},
        **settings,
    }
    train_part, test_part = ({name: splits[split] for name, splits in tasks.items()} for split in ("train", "test"))
    return Prepared(write(out_dir, train_part, test_part, origin, prompts), tallies)
