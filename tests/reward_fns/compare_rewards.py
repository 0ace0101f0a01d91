"""Gold answers must score 1.0 and corrupted ones never, on generated rows; and where reasoning-gym's scorers disagree.

    python tests/reward_fns/compare_rewards.py --rows 10000 [--task countdown] [--seed 1]

Prints, for each task and each way of writing an answer: how many were judged, how many of them correct by us and by
reasoning-gym's scorer for the same entry. Exits with 1 when a gold answer fails or a corrupted one passes. Ten thousand
rows take some minutes, mostly for making zebra puzzles and asking math-verify.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import reasoning_gym

from reward_fns import compute_score

# (kind, answer): kinds in GOLD must be correct, kinds in WRONG must not, the rest are only compared.
Answers = list[tuple[str, str]]
GOLD, WRONG = "gold", "corrupted"


def countdown(rows: int, seed: int) -> Iterator[tuple[str, object, Answers, object]]:
    """Three to five numbers; corrupted: another number, one left out, one too many, another target."""
    for size in (3, 4, 5):
        data = reasoning_gym.create_dataset(
            "countdown",
            size=-(-rows // 3),
            seed=seed + size,
            min_numbers=size,
            max_numbers=size,
            min_target=1,
            max_target=1000,
        )
        for entry in data:
            numbers, target = entry["metadata"]["numbers"], entry["metadata"]["target"]
            gold = entry["metadata"]["expression"]
            first = str(numbers[0])
            answers = [
                (GOLD, gold),
                ("gold = target", f"{gold} = {target}"),
                (r"gold with \times, \div", gold.replace("*", r" \times ").replace("/", r" \div ")),
                ("gold with a unicode minus", gold.replace("-", "\N{MINUS SIGN}")),
                ("gold in math mode, with a full stop", f"${gold}$."),
                ("gold with a plus in front", f"+({gold})"),
                ("gold with a leading zero", gold.replace(first, "0" + first, 1)),
                ("gold with .0", gold.replace(first, first + ".0", 1)),
                ("gold to the power of one", f"({gold})**1"),
                (f"{WRONG}: off by one", f"({gold}) + {first} - {first} + 1"),
                (f"{WRONG}: a number too many", f"{gold} + 0"),
                (f"{WRONG}: a number used twice", f"{gold} + {first} - {first}"),
                (f"{WRONG}: false target", f"{gold} = {target + 1}"),
                (f"{WRONG}: the target alone", f"{target}"),
                (f"{WRONG}: floor division", f"({gold})//1"),
            ]
            changed = " + ".join(map(str, numbers))
            if sum(numbers) != target:
                answers.append((f"{WRONG}: another value", changed))
            truth = {"numbers": ",".join(map(str, numbers)), "target": target}
            yield "countdown-train", truth, answers, (data, entry)


def arc(rows: int, seed: int) -> Iterator[tuple[str, object, Answers, object]]:
    """Rows of 10, 20 and 30 cells; corrupted: another digit, one less, one more, commas."""
    for size in (10, 20, 30):
        data = reasoning_gym.create_dataset("arc_1d", size=-(-rows // 3), seed=seed, min_size=size, max_size=size)
        for entry in data:
            gold = entry["answer"]
            answers = [
                (GOLD, gold),
                ("gold with doubled spaces", gold.replace(" ", "  ")),
                ("gold in brackets", f"[{gold}]"),
                (f"{WRONG}: another digit", str((int(gold[0]) + 1) % 10) + gold[1:]),
                (f"{WRONG}: one cell less", gold[2:]),
                (f"{WRONG}: one cell more", gold + " 0"),
                (f"{WRONG}: commas", gold.replace(" ", ", ")),
            ]
            yield "arc-train", {"target": gold}, answers, (data, entry)


def zebra(rows: int, seed: int) -> Iterator[tuple[str, object, Answers, object]]:
    """Three houses; corrupted: another name, two names, a sentence."""
    data = reasoning_gym.create_dataset("zebra_puzzles", size=rows, seed=seed, num_people=3, num_characteristics=3)
    for entry in data:
        gold = entry["answer"]
        answers = [
            (GOLD, gold),
            (GOLD, gold.upper()),
            ("gold with a line break in it", gold[:2] + "\n" + gold[2:]),
            (f"{WRONG}: another name", gold + "a"),
            (f"{WRONG}: cut", gold[:-1]),
            (f"{WRONG}: two names", f"{gold} or eve"),
            (f"{WRONG}: a sentence", f"it is {gold}"),
            ("gold with a full stop", gold + "."),
        ]
        yield "zebra-train", {"target": gold}, answers, (data, entry)


def math(rows: int, seed: int) -> Iterator[tuple[str, object, Answers, object]]:
    """Whole numbers, fractions, roots, pairs and polynomials, in two spellings; corrupted: other values, statements."""
    rng = random.Random(seed)
    for _ in range(rows):
        a, b, c = rng.randint(-99, 99), rng.randint(2, 40), rng.randint(2, 12)
        value = Fraction(a, b)
        reference, other, wrong = rng.choice(
            [
                (f"{a}", f"x = {a}", f"{a + 1}"),
                (rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{2 * a}}}{{{2 * b}}}", rf"\frac{{{a + 1}}}{{{b}}}"),
                (f"{float(value.limit_denominator(4))}", f"{value.limit_denominator(4)}", f"{a}.001"),
                (rf"{c}\sqrt{{2}}", rf"\sqrt{{{2 * c * c}}}", rf"\sqrt{{{2 * c * c + 1}}}"),
                (f"({a},{b})", f"({a}, {b})", f"({a + 1}, {b})"),
                (f"x^2+{c}x+{b}", f"{b}+{c}x+x^2", f"x^2+{c}x+{b + 1}"),
            ]
        )
        answers = [(GOLD, reference), (GOLD, other), (f"{WRONG}: another value", wrong)]
        answers += [
            (f"{WRONG}: either", rf"{reference} \text{{ or }} {wrong}"),
            (f"{WRONG}: a chain", f"1={reference}"),
        ]
        yield "math_train", reference, answers, None


def sciknoweval(rows: int, seed: int) -> Iterator[tuple[str, object, Answers, object]]:
    """Letters, judgements and numbers; corrupted: the others."""
    rng = random.Random(seed)
    for _ in range(rows):
        letter, other = rng.sample("ABCD", 2)
        number = rng.randint(1, 10**6)
        target, kind, gold, wrong = rng.choice(
            [
                (letter, "mcq-4-choices", f"({letter.lower()})", other),
                (letter, "mcq-4-choices", rf"\text{{{letter}}}", f"{letter}, {other}"),
                ("True", "true_or_false", "true", "false"),
                (f"{number / 100:.2f}", "filling", f"{number / 100}", f"{number / 100 + 0.01:.2f}"),
            ]
        )
        truth = {"target": target, "type": kind}
        yield "sciknoweval-train", truth, [(GOLD, target), (GOLD, gold), (f"{WRONG}: another", wrong)], None


TASKS = {"countdown": countdown, "arc": arc, "zebra": zebra, "math": math, "sciknoweval": sciknoweval}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000, help="rows a task")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    options = parser.parse_args()
    failures = 0
    for task in options.task or TASKS:
        judged, ours, theirs = Counter(), Counter(), Counter()
        rows = 0
        for data_source, truth, answers, oracle in TASKS[task](options.rows, options.seed):
            rows += 1
            for kind, answer in answers:
                correct = compute_score(data_source, rf"So \boxed{{{answer}}}", truth)["score"] == 1.0
                judged[kind] += 1
                ours[kind] += correct
                if oracle:
                    data, entry = oracle
                    theirs[kind] += data.score_answer(answer, entry) == 1.0
                bad = (kind == GOLD and not correct) or (kind.startswith(WRONG) and correct)
                failures += bad
                if bad:
                    print(f"FAILURE {task}: {kind}: {answer!r} for {truth!r} is {correct=}")
        print(f"{task}: {rows} rows")
        print(f"  {'judged':>8} {'ours':>8} {'reasoning-gym':>13}")
        for kind, count in judged.items():
            theirs_text = str(theirs[kind]) if oracle else "-"
            print(f"  {count:8d} {ours[kind]:8d} {theirs_text:>13}  {kind}")
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
