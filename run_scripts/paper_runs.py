"""The table of the paper's runs, paper_runs.yaml: for the scripts that start them, and for the README.

python run_scripts/paper_runs.py exp1/mt_grpo_0.2      the experiment, then one override of verl per line
python run_scripts/paper_runs.py --markdown            the table "Results to expect" of README.md
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import yaml

TABLE = Path(__file__).with_name("paper_runs.yaml")


class PaperRun(NamedTuple):
    """A row; the head of the file says what its columns mean."""

    experiment: str
    method: str
    where: str
    trade_off: float | None = None
    overrides: tuple[str, ...] = ()
    worst: float | None = None
    average: float | None = None
    note: str = ""


def read_table(path: Path = TABLE) -> dict[str, PaperRun]:
    """Script, such as `exp1/dapo`, -> its row; raises TypeError for a row with a missing or an unknown column."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {script: PaperRun(**row) for script, row in rows.items()}


def overrides(run: PaperRun) -> list[str]:
    """verl's command-line overrides for this run."""
    trade_off = [] if run.trade_off is None else [f"mt_grpo.weights.trade_off={run.trade_off}"]
    return [f"+mt_grpo={run.method}", f"+experiment={run.experiment}", *trade_off, *run.overrides]


def markdown(runs: dict[str, PaperRun]) -> str:
    """The runs with what the paper reports for them, one line per run."""
    lines = ["| script | worst task, % | average, % | in the paper |", "|---|---|---|---|"]
    for script, run in runs.items():
        worst, average = ("" if value is None else f"{value:.1f}" for value in (run.worst, run.average))
        where = "; ".join(filter(None, (run.where, run.note)))
        lines.append(f"| `{script}` | {worst} | {average} | {where} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("script", nargs="?", help="a row, such as exp1/dapo")
    asked.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    runs = read_table()
    if options.markdown:
        print(markdown(runs), end="")
    elif options.script in runs:
        run = runs[options.script]
        print(run.experiment, *overrides(run), sep="\n")
    else:
        raise SystemExit(f"error: {TABLE} has no row {options.script!r}; it has {', '.join(runs)}")


if __name__ == "__main__":
    main()
