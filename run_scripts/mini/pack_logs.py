"""Copy the logs of finished runs into a folder small enough to commit: what the report reads, packed.

    python run_scripts/mini/pack_logs.py outputs/mini/equal -o run_scripts/mini/logs/equal

For every step it keeps the plugin's metrics, the validation accuracies and the times, with the numbers as logged unless
--digits rounds them.
"""

import argparse
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from mt_grpo_recipe.report.read.attempts import log_files, read_attempt

KEPT = ("mt_grpo/", "val-core/mt_grpo/", "timing_s/", "response_length/mean")


def packed(log: Path, kept_prefixes: tuple[str, ...] = KEPT, digits: int | None = None) -> bytes:
    """Return a log's kept metrics, one JSON line per step, compressed; the same bytes for the same log.

    Numbers are rounded to this many significant digits; None keeps all of them. What a killed attempt left half written
    is left out, with a message.
    """
    attempt = read_attempt(log)
    for problem in attempt.problems:
        print(problem)
    lines = []
    for step, data in attempt.records.items():
        kept = {name: value for name, value in data.items() if name.startswith(kept_prefixes)}
        if digits is not None:
            kept = {name: value if isinstance(value, int) else _rounded(value, digits) for name, value in kept.items()}
        lines.append(json.dumps({"step": step, "data": kept}, separators=(",", ":")))
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def files_of(run: Path, pack: Callable[[Path], bytes]) -> dict[str, bytes]:
    """Name -> content of what is kept of a run: `run.json` and its logs, packed.

    Raises:
        ValueError: the run lacks either.
    """
    logs = {f"{log.name.removesuffix('.gz')}.gz": pack(log) for log in log_files(run)}
    if not logs or not (run / "run.json").is_file():
        raise ValueError(f"{run} holds no {'run.json' if logs else '*.jsonl log'}: it is no run that can be packed")
    return {"run.json": (run / "run.json").read_bytes(), **logs}


def check_apart(runs: list[Path], out: Path) -> None:
    """Refuse to write over the runs, or into one of them.

    Raises:
        ValueError: a packed run would.
    """
    inputs = [run.resolve() for run in runs]
    for target in ((out / run.name).resolve() for run in runs):
        for run in inputs:
            if target == run or target in run.parents or run in target.parents:
                raise ValueError(f"-o {out} would replace the logs that are packed: choose another -o")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of runs, as run_all.sh leaves it")
    parser.add_argument("-o", "--out", type=Path, required=True, help="where the packed runs go, a folder each")
    parser.add_argument("--keep", nargs="+", default=KEPT, help="metrics kept, by how their names begin (%(default)s)")
    parser.add_argument("--digits", type=int, help="round numbers to this many significant digits (all are kept)")
    args = parser.parse_args()
    finished = sorted(mark.parent for mark in args.runs.glob("*/finished"))
    if not finished:
        parser.error(f"no finished run in {args.runs}: run_all.sh marks each with a file `finished`")
    try:
        check_apart(finished, args.out)
        # All is packed before anything that was packed earlier is replaced.
        kept = {run.name: files_of(run, lambda log: packed(log, tuple(args.keep), args.digits)) for run in finished}
    except ValueError as error:
        parser.error(str(error))
    for name, files in kept.items():
        shutil.rmtree(args.out / name, ignore_errors=True)
        (args.out / name).mkdir(parents=True)
        for file, content in files.items():
            (args.out / name / file).write_bytes(content)
    print(f"{len(finished)} runs in {args.out}")


if __name__ == "__main__":
    main()
