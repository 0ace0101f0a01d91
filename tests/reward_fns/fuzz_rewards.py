"""Coverage-guided fuzzing of the rewards, for as long as you like; not collected by pytest.

    pip install atheris
    mkdir -p /tmp/corpus
    python tests/reward_fns/fuzz_rewards.py -runs=1000000 -max_len=400 /tmp/corpus

An input is a byte that picks a row, a byte that picks how to read the rest, and the rest: a response in which bytes
from 128 on stand for pieces that matter, or UTF-16. An empty corpus directory is filled with answers to begin with.

A finding is an exception, one that was caught and logged too, a score outside the three, keys or values that disagree,
or an answer or a countdown verdict that differs from `independent.py`. What would leave the process (math-verify,
reasoning-gym) is answered by a stub; everything in front of it is fuzzed. libFuzzer's own options apply.
"""

import json
import sys
from itertools import product
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

import independent

with atheris.instrument_imports(include=["reward_fns"]):
    import reward_fns
    import reward_fns.arc
    import reward_fns.arithmetic
    import reward_fns.countdown
    import reward_fns.extraction
    import reward_fns.maths
    import reward_fns.rg
    import reward_fns.sciknoweval
    import reward_fns.scoring
    import reward_fns.zebra

NUMBERS, TARGET = [3, 8, 8, 12], 24
ENTRY = json.dumps({"question": "?", "answer": "4"})
ROWS = [
    ("countdown-mini-train", {"numbers": "3,8,8,12", "target": TARGET}),
    ("zebra-mini-train", {"target": "carol"}),
    ("arc-mini-train", {"target": "0 0 9"}),
    ("math_train", {"target": r"\frac{1}{2}"}),
    ("sciknoweval-biology", {"target": "B", "type": "mcq-4-choices"}),
    ("sciknoweval-biology", {"target": "True", "type": "true_or_false"}),
    ("sciknoweval-biology", {"target": "1.5", "type": "filling"}),
    ("rg:countdown-train", {"target": "4", "entry": ENTRY}),
    ("rg:n_queens-train", {"target": "4", "entry": ENTRY}),
]
PIECES = [r"\boxed{", r"\boxed", "{", "}", r"\{", "\\", "<answer>", "</answer>", "Assistant:", "<|im_start|>assistant"]
PIECES += [" ", "3", "8", "12", "24", "+", "-", "*", "/", "(", ")", "=", ".", r"\times", r"\div", r"\cdot", r"\frac{"]
PIECES += [r"\left", r"\right", "\u00d7", "\u00f7", "\u2212", "\u00b7", "carol", "0 0 9", "true", "B", "\n", "\ud800"]
PIECES += ["12/(3-8/8)/8", "8/8*", "12+12", r"}{", "(3*8)", "(12-", "$", r"\text{", "open", "x=", "\u0663", "\x00"]
SEEDS = ["(8 - 8/8)", "12+12+8-8", "12/(3-8/8)/8", r"\frac{8}{8} \times 12 + 12*3 - 24", "8*3*(12/(8+4)) = 24", "carol"]
SEEDS += [
    "0 0 9",
    r"x = \frac12",
    r"\text{(B)}",
    "true",
    "15e-1",
    "4*3+sqrt(x)",
    "[[1, 'a'], [2.0]]",
    r"\boxed{\boxed{3}}",
]
SEEDS += ["<answer>0 0 9</answer>", r"Assistant: \boxed {8/3-\left(3*8\right)} \boxed{", "3*8*(12/12)", "(12-8/8-8)*8"]


def _stub(function: str, *arguments: object, cpu_seconds: float) -> object:
    json.dumps(arguments)
    return False if function.startswith("reward_fns._math") else 0.5


def _fail(message: str, *arguments: object) -> None:
    raise AssertionError(message % arguments)


def _response(how: int, rest: bytes) -> str:
    if how % 4 == 3:
        text = rest.decode("utf-16-le", "surrogatepass") if len(rest) % 2 == 0 else rest.decode("latin-1")
    else:
        text = "".join(chr(byte) if byte < 128 else PIECES[(byte - 128) % len(PIECES)] for byte in rest)
    return rf"\boxed{{{text}}}" if how % 4 else text


def check(raw: bytes) -> None:
    """One input."""
    if len(raw) < 2:
        return
    data_source, truth = ROWS[raw[0] % len(ROWS)]
    response = _response(raw[1], raw[2:])
    result = reward_fns.compute_score(data_source, response, truth)
    assert list(result) == ["score", "acc", "format"], result
    assert tuple(result.values()) in {(1.0, 1.0, 1.0), (0.1, 0.0, 1.0), (0.0, 0.0, 0.0)}, result

    answer = independent.final_answer(response)
    assert answer == reward_fns.extract_answer(response), (answer, response)
    assert result["format"] == float(answer is not None)
    if data_source.startswith("countdown") and answer is not None and answer.count("(") <= 50:
        correct = independent.countdown_value(answer, NUMBERS) == TARGET
        assert result["acc"] == float(correct), (answer, correct)
    if result["acc"] and data_source.startswith("zebra"):
        assert answer is not None and answer.lower() == "carol", answer
    if result["acc"] and data_source.startswith("arc"):
        assert answer == "0 0 9", answer


def _fill_empty_corpora(arguments: list[str]) -> None:
    for folder in map(Path, arguments):
        if folder.is_dir() and not any(folder.iterdir()):
            for row, how in product(range(len(ROWS)), range(2)):
                for number, seed in enumerate(SEEDS):
                    (folder / f"seed-{row}-{how}-{number}").write_bytes(bytes([row, how]) + seed.encode())


if __name__ == "__main__":
    _fill_empty_corpora(sys.argv[1:])
    for module in (reward_fns.maths, reward_fns.rg):
        module.call = _stub
    reward_fns.scoring.logger.exception = _fail
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
