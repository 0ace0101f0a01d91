"""Speed of the rewards, as ratios to two other scorers of the same answers, and the most expensive hostile inputs.

    python tests/benchmarks/bench_rewards.py [--rows 300] [--json]

The naive scorer is what recipes ship: a regular expression for the box and `eval` for the expression. The other is
reasoning-gym's own, which parses with sympy. Medians over repeats on this machine; the ratios are what carries over.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable

import reasoning_gym

from reward_fns import compute_score

REPEATS = 5
REASONING = "First I try one thing and then another, and count again. " * 60  # about 3,400 characters, 800 tokens

HOSTILE = {
    "a megabyte of digits in a box": r"\boxed{" + "9" * 1_000_000 + "}",
    "a megabyte of opening brackets": r"\boxed{" + "(" * 1_000_000 + "}",
    "400 brackets deep": r"\boxed{" + "(" * 400 + "3" + ")" * 400 + "}",
    "a megabyte of braces": r"\boxed{" + "{" * 1_000_000,
    "100,000 boxes": r"\boxed{3}" * 100_000,
    "100,000 boxes within each other": r"\boxed{" * 100_000 + "3" + "}" * 100_000,
    "100,000 times boxed without a brace": r"\boxed" * 100_000,
    "100,000 answer tags": "<answer>" * 100_000,
    "a tower of 300 powers": r"\boxed{" + "9**" * 300 + "9}",
    "a product of 300 numbers": r"\boxed{" + "*".join(["12"] * 300) + "}",
}


def naive(response: str, numbers: list[int], target: int) -> float:
    """A box by regular expression, the value by eval."""
    boxes = re.findall(r"\\boxed\{(.*?)\}", response)
    if not boxes:
        return 0.0
    try:
        if sorted(map(int, re.findall(r"\d+", boxes[-1]))) == sorted(numbers):
            return 1.0 if abs(eval(boxes[-1], {"__builtins__": {}}) - target) < 1e-5 else 0.1
    except Exception:
        return 0.1
    return 0.1


def seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the text")
    options = parser.parse_args()
    data = reasoning_gym.create_dataset("countdown", size=options.rows, seed=1, min_numbers=4, max_numbers=4)
    rows = []
    for entry in data:
        numbers, target = entry["metadata"]["numbers"], entry["metadata"]["target"]
        expression = entry["metadata"]["expression"]
        truth = {"numbers": ",".join(map(str, numbers)), "target": target}
        rows.append((entry, numbers, target, truth, expression, rf"{REASONING}\boxed{{{expression}}}"))

    ours = seconds(lambda: [compute_score("countdown-train", row[5], row[3]) for row in rows])
    plain = seconds(lambda: [naive(row[5], row[1], row[2]) for row in rows])
    theirs = seconds(lambda: [data.score_answer(row[4], row[0]) for row in rows])
    truth = {"numbers": "3,8,8,12", "target": 24}
    hostile = {
        name: 1000 * seconds(lambda text=text: compute_score("countdown-train", text, truth))
        for name, text in HOSTILE.items()
    }
    result = {
        "rows": options.rows,
        "microseconds_per_response": 1e6 * ours / options.rows,
        "times_naive_eval": ours / plain,
        "times_reasoning_gym": ours / theirs,
        "hostile_ms": hostile,
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['microseconds_per_response']:.0f} us a countdown response of {len(rows[0][5])} characters")
    print(f"{result['times_naive_eval']:.2f} x the time of a regular expression and eval")
    print(f"{result['times_reasoning_gym']:.3f} x the time of reasoning-gym's scorer, on the bare answer")
    for name, milliseconds in sorted(hostile.items(), key=lambda item: -item[1]):
        print(f"{milliseconds:9.2f} ms  {name}")


if __name__ == "__main__":
    main()
