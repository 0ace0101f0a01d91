"""Time of a step's whole bookkeeping: plan, launch, take in every outcome, select. Run: python bench_planning.py

Each row is one step with batch B and B / 4 tasks (4,096: 1,000 tasks), half of all groups filtered, told in portions of
64 as a polling driver would. The milliseconds are processor time, the best of several steps; work on the same core's
second thread can still double them, so the first line says what a bare method call costs at the time.
"""

from __future__ import annotations

import time
import timeit

import numpy as np

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.groups import GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers import Step, make_sampler
from mt_grpo_recipe.algorithm.settings import SCHEDULES

PORTION = 64
LIMIT_MS = 20.0
SIZES = ((250, 1024), (500, 2048), (1000, 4096), (2000, 8192), (4000, 16384))


def one_step(
    schedule: str, tracker: AcceptanceTracker, num_tasks: int, batch_size: int, seed: int
) -> tuple[float, int]:
    """Run a step; return the seconds spent in the sampler and the groups launched."""
    rng = np.random.default_rng(seed)
    results = [
        GroupResult(Outcome.INFORMATIVE if kept else Outcome.FILTERED, 0.5, kept)
        for kept in (rng.random(16 * batch_size) < 0.5).tolist()
    ]
    weights_K = rng.dirichlet(np.full(num_tasks, 20.0))
    config = SCHEDULES[schedule]()
    waiting: list[int] = []
    launched = 0

    start = time.process_time()
    sampler = make_sampler(Step(weights_K, tracker, config, batch_size, rng))
    spent = time.process_time() - start
    while not sampler.done:
        start = time.process_time()
        launches = sampler.ask()
        spent += time.process_time() - start
        waiting += range(launched, launched + len(launches))
        launched += len(launches)
        portion, waiting = waiting[:PORTION], waiting[PORTION:]
        start = time.process_time()
        for launch_id in portion:
            sampler.tell(launch_id, results[launch_id])
        spent += time.process_time() - start
    start = time.process_time()
    selection = sampler.select()
    spent += time.process_time() - start
    assert len(selection.launch_ids) == batch_size or schedule == "budget"
    return spent, launched


def main() -> None:
    """Print one row per size and sampler; fail where 1,000 tasks and batch 4,096 take longer than the limit."""
    slow = []
    call_ns = min(timeit.repeat([].copy, number=100_000, repeat=5)) * 1e4
    print(f"a bare method call: {call_ns:.0f} ns")
    print(f"{'sampler':10} {'tasks':>6} {'batch':>6} {'groups':>7} {'ms':>8} {'us a group':>11}")
    for schedule in SCHEDULES:
        for num_tasks, batch_size in SIZES:
            tracker = AcceptanceTracker(num_tasks, decay=0.9)
            steps = [one_step(schedule, tracker, num_tasks, batch_size, seed) for seed in range(20)]
            seconds, groups = min(steps[2:])  # the first steps know nothing yet
            print(
                f"{schedule:10} {num_tasks:6} {batch_size:6} {groups:7} {seconds * 1e3:8.2f} "
                f"{seconds * 1e6 / groups:11.2f}"
            )
            if batch_size == 4096 and seconds * 1e3 > LIMIT_MS:
                slow.append(f"{schedule}: {seconds * 1e3:.1f} ms")
    if slow:
        raise SystemExit(f"above {LIMIT_MS} ms: " + ", ".join(slow))


if __name__ == "__main__":
    main()
