"""What share of a training step the plugin itself costs, from the metrics of a real run.

    python tests/benchmarks/bench_step.py METRICS.jsonl        (the demo prints the path of its own)

All figures are medians over the steps of one run, so they hold on a noisy machine as shares of each other.
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


def main() -> None:
    """Print one row a part: seconds and share of the step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", type=Path)
    rows = [json.loads(line)["data"] for line in parser.parse_args().metrics.read_text().splitlines()]
    # The first step pays for warming up; validation rows have no step time.
    steps = [row for row in rows if "timing_s/step" in row][1:]
    total = statistics.median(row["timing_s/step"] for row in steps)
    print(f"{len(steps)} steps, median {total:.2f} s")
    for part, names in PARTS.items():
        seconds = statistics.median(sum(row.get(f"timing_s/{name}", 0.0) for name in names) for row in steps)
        # verl times the improvement pass inside the update, because the plugin makes it there.
        if part == "policy update":
            seconds -= statistics.median(row.get("timing_s/improvement", 0.0) for row in steps)
        print(f"{part:36s} {seconds:8.3f} s {100 * seconds / total:6.2f} %")
    groups = [sum(value for name, value in row.items() if name.startswith("mt_grpo/generated/")) for row in steps]
    print(f"groups generated a step: mean {statistics.mean(groups):.1f}")


if __name__ == "__main__":
    main()
