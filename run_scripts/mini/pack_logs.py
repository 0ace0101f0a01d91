"""Copy the logs of finished runs into a folder small enough to commit: what the report reads, packed.

    python run_scripts/mini/pack_logs.py outputs/mini -o run_scripts/mini/logs

For every step it keeps the plugin's metrics, the validation accuracies and the times, with the numbers as logged.
"""

import argparse
import gzip
import json
import shutil
from pathlib import Path

from mt_grpo_recipe.report.read.attempts import read_attempt

KEPT = ("mt_grpo/", "val-core/mt_grpo/", "timing_s/", "response_length/mean")


def packed(log: Path, kept_prefixes: tuple[str, ...] = KEPT) -> bytes:
    """Return a log's kept metrics, one JSON line per step, compressed; the same bytes for the same log.

    What a killed attempt left half written is left out, with a message.
    """
    attempt = read_attempt(log)
    for problem in attempt.problems:
        print(problem)
    lines = []
    for step, data in attempt.records.items():
        kept = {name: value for name, value in data.items() if name.startswith(kept_prefixes)}
        lines.append(json.dumps({"step": step, "data": kept}, separators=(",", ":")))
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of runs, as run_all.sh leaves it")
    parser.add_argument("-o", "--out", type=Path, required=True, help="where the packed runs go, a folder each")
    parser.add_argument("--keep", nargs="+", default=KEPT, help="metrics kept, by how their names begin (%(default)s)")
    args = parser.parse_args()
    finished = sorted(mark.parent for mark in args.runs.glob("*/finished"))
    if not finished:
        parser.error(f"no finished run in {args.runs}: run_all.sh marks each with a file `finished`")
    for run in finished:
        out = args.out / run.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        shutil.copy(run / "run.json", out)
        for log in run.glob("*.jsonl"):
            (out / f"{log.name}.gz").write_bytes(packed(log, tuple(args.keep)))
    print(f"{len(finished)} runs in {args.out}")


if __name__ == "__main__":
    main()
