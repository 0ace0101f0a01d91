"""Where a training step's time goes and what share of it the plugin costs, from the metrics of real runs.

    python tests/benchmarks/bench_step.py METRICS.jsonl...        (the demo prints the path of its own)

Seconds are medians over the steps of a run, so on a noisy machine they hold relative to each other. For several runs a
table compares groups generated and seconds per step, as ratios to the first.
"""

import argparse
import json
import statistics
from pathlib import Path

PARTS = {
    "generation (with waiting)": ("gen",),
    "old log-probabilities": ("old_log_prob",),
    "policy update": ("update_actor",),
    "weight transfer": ("update_weights",),
    "plugin: controller and selection": ("mt_grpo_decide",),
    "plugin: improvement pass": ("improvement",),
    "plugin: polling, inside generation": ("mt_grpo_poll",),
}


def read_steps(path: Path) -> list[dict]:
    """Metrics of each training step but the first, which pays for warming up; validation rows have no step time."""
    rows = [json.loads(line)["data"] for line in path.read_text().splitlines()]
    return [row for row in rows if "timing_s/step" in row][1:]


def total(row: dict, name: str) -> float:
    """Sum of a metric of the plugin over the tasks."""
    return sum(value for key, value in row.items() if key.startswith(f"mt_grpo/{name}/"))


def print_parts(steps: list[dict]) -> None:
    """Print one row per part of the step: seconds and share."""
    whole = statistics.median(row["timing_s/step"] for row in steps)
    print(f"{len(steps)} steps, median {whole:.2f} s")
    for part, names in PARTS.items():
        seconds = statistics.median(sum(row.get(f"timing_s/{name}", 0.0) for name in names) for row in steps)
        # verl times the improvement pass inside the update, because the plugin makes it there.
        if part == "policy update":
            seconds -= statistics.median(row.get("timing_s/improvement", 0.0) for row in steps)
        print(f"{part:36s} {seconds:8.3f} s {100 * seconds / whole:6.2f} %")
    print(f"groups generated per step: mean {statistics.mean(total(row, 'generated') for row in steps):.1f}")


def main() -> None:
    """Print the parts of every run, then the runs side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", type=Path, nargs="+")
    paths = parser.parse_args().metrics
    rows = []
    for path in paths:
        steps = read_steps(path)
        print(f"\n{path}")
        print_parts(steps)
        rows.append(
            [
                statistics.mean(total(row, "generated") for row in steps),
                statistics.median(row["timing_s/gen"] for row in steps),
                statistics.median(row["timing_s/step"] for row in steps),
                statistics.mean(total(row, "shortfall") for row in steps),
            ]
        )
    if len(paths) == 1:
        return
    print(f"\n{'run':20s} {'groups/step':>16s} {'generation, s':>18s} {'step, s':>16s} {'groups short':>13s}")
    for path, (groups, generation, step, short) in zip(paths, rows, strict=True):
        ratios = [value / first for value, first in zip((groups, generation, step), rows[0][:3], strict=True)]
        print(
            f"{path.parent.name:20s} {groups:8.1f} ({ratios[0]:4.2f}x) {generation:10.2f} ({ratios[1]:4.2f}x) "
            f"{step:8.2f} ({ratios[2]:4.2f}x) {short:13.2f}"
        )


if __name__ == "__main__":
    main()
