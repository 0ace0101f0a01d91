"""How long honest maths answers take beside hostile ones, judged in one process with one thread each.

    python tests/benchmarks/bench_hostile_rewards.py [--hostile 1 4 16] [--honest 50]

Every hostile answer runs until its budget of CPU time is used up. Meanwhile honest answers come one after the other. It
prints their median and longest clock time, and how long it took until the last hostile answer was cut. Compare the
lines with the one for no hostile answers: the figures depend on this machine and on all else that runs on it.
"""

import argparse
import statistics
import threading
import time

from reward_fns import compute_score, maths

HOSTILE = ["9^{9^{9^9}}", "10000000!", r"\binom{10^9}{5\cdot 10^8}", r"\sum_{k=1}^{10^9} \frac{1}{k^2}"]
HONEST = [
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"), ("x^2+2x+1", "(x+1)^2"), (r"(3,\frac{\pi}{2})", r"(3, \pi/2)"),
    ("y=2x+3", "2x-y+3=0"), (r"11\sqrt{2}", r"11\sqrt{3}"), (r"\frac{n(n+1)}{2}", r"\frac{n(n-1)}{2}"),
]  # fmt: skip


def judged(reference: str, answer: str) -> float:
    """Clock time of one answer."""
    begin = time.monotonic()
    compute_score("math_train", rf"\boxed{{{answer}}}", reference)
    return time.monotonic() - begin


def judge_hostile(number: int, ended: list[float]) -> None:
    """One hostile answer in a thread of its own."""
    ended.append(judged("3", HOSTILE[number % len(HOSTILE)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hostile", type=int, nargs="+", default=[0, 1, 4, 16])
    parser.add_argument("--honest", type=int, default=50, help="answers at least; more until the hostile ones are cut")
    options = parser.parse_args()
    judged(*HONEST[0])  # starts the helper
    print(f"budget {maths.CPU_SECONDS} s of CPU time per answer")
    for hostile in options.hostile:
        ended: list[float] = []
        threads = [threading.Thread(target=judge_hostile, args=(n, ended)) for n in range(hostile)]
        for thread in threads:
            thread.start()
        times: list[float] = []
        while len(times) < options.honest:
            times.append(judged(*HONEST[len(times) % len(HONEST)]))
        for thread in threads:
            thread.join()
        print(
            f"{hostile:3d} hostile: honest median {1000 * statistics.median(times):5.0f} ms, longest "
            f"{1000 * max(times):5.0f} ms; last hostile one cut after {max(ended, default=0.0):.1f} s"
        )


if __name__ == "__main__":
    main()
