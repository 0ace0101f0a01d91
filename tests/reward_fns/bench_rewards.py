"""Speed of the rewards, as ratios to two other scorers of the same answers, and the most expensive hostile inputs.

    python tests/reward_fns/bench_rewards.py [--rows 300] [--json]

The naive scorer is what recipes ship: a regular expression for the box and `eval` for the expression. The other is
reasoning-gym's own, which parses with sympy. Every row is answered by a group of eight, as in training. The three take
turns row by row and CPU time is counted, so that other work on the machine affects all alike; the ratios carry over to
other machines.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import reasoning_gym
from hostile import HOSTILE
from independent import ROWS, helper

import reward_fns.maths
import reward_fns.rg
from reward_fns import compute_score

REPEATS = 5
GROUP = 8
REASONING = "First I try one thing and then another, and count again. " * 60  # about 3,400 characters, 800 tokens


def naive(response: str, truth: dict[str, Any]) -> float:
    """A box by regular expression, the value by eval."""
    numbers, target = [int(number) for number in truth["numbers"].split(",")], truth["target"]
    boxes = re.findall(r"\\boxed\{(.*?)\}", response)
    if not boxes:
        return 0.0
    try:
        if sorted(map(int, re.findall(r"\d+", boxes[-1]))) == sorted(numbers):
            return 1.0 if abs(eval(boxes[-1], {"__builtins__": {}}) - target) < 1e-5 else 0.1
    except Exception:
        return 0.1
    return 0.1


def seconds(times: int, function: Callable[..., object], *arguments: object) -> float:
    """CPU time of this thread for this many calls."""
    begin = time.thread_time()
    for _ in range(times):
        function(*arguments)
    return time.thread_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the text")
    options = parser.parse_args()
    data = reasoning_gym.create_dataset("countdown", size=options.rows, seed=1, min_numbers=4, max_numbers=4)
    repeats = []
    for _ in range(REPEATS):
        ours = plain = theirs = 0.0
        for entry in data:
            truth = {"numbers": ",".join(map(str, entry["metadata"]["numbers"])), "target": entry["metadata"]["target"]}
            expression = entry["metadata"]["expression"]
            response = rf"{REASONING}\boxed{{{expression}}}"
            ours += seconds(GROUP, compute_score, "countdown-train", response, truth)
            plain += seconds(GROUP, naive, response, truth)
            theirs += seconds(GROUP, data.score_answer, expression, entry)
        repeats.append((ours, plain, theirs))
    hostile = {
        f"{row[0]}: {name}": 1000 * min(seconds(1, compute_score, row[0], text, row[1]) for _ in range(REPEATS))
        for row in ROWS
        for name, text in HOSTILE.items()
    }
    result = {
        "rows": options.rows,
        "microseconds_per_response": 1e6 * statistics.median(ours for ours, _, _ in repeats) / options.rows / GROUP,
        "times_naive_eval": statistics.median(ours / plain for ours, plain, _ in repeats),
        "times_reasoning_gym": statistics.median(ours / theirs for ours, _, theirs in repeats),
        "hostile_ms": hostile,
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['microseconds_per_response']:.0f} us per countdown response of {len(response)} characters")
    print(f"{result['times_naive_eval']:.2f} x the time of a regular expression and eval")
    print(f"{result['times_reasoning_gym']:.3f} x the time of reasoning-gym's scorer, on the bare answer")
    for name, milliseconds in sorted(hostile.items(), key=lambda item: -item[1])[:10]:
        print(f"{milliseconds:9.2f} ms  {name}")


if __name__ == "__main__":
    for module in (reward_fns.maths, reward_fns.rg):
        module.call = helper  # what leaves the process has limits of its own
    main()
