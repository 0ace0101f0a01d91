"""Copy the logs of finished runs into a folder small enough to commit: what the report reads, packed.

    python run_scripts/mini/pack_logs.py outputs/mini/equal -o run_scripts/mini/logs/equal

For every step it keeps the plugin's metrics, the validation accuracies and the times, with the numbers as logged unless
--digits rounds them.
"""

import argparse
import gzip
import json
import shutil
from pathlib import Path

from mt_grpo_recipe.report.read.attempts import read_attempt

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
    for run in finished:
        out = args.out / run.name
        logs = {f"{log.name}.gz": packed(log, tuple(args.keep), args.digits) for log in run.glob("*.jsonl")}
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        shutil.copy(run / "run.json", out)
        for name, content in logs.items():
            (out / name).write_bytes(content)
    print(f"{len(finished)} runs in {args.out}")


if __name__ == "__main__":
    main()
