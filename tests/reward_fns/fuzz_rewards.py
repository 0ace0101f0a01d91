"""Coverage-guided fuzzing of the rewards, for as long as you like; not collected by pytest.

    pip install atheris
    python tests/reward_fns/fuzz_rewards.py -runs=1000000 -max_len=400

Every input becomes a response to one row of one task. A finding is an exception, one that was caught and logged too, a
score outside the three, keys or values that disagree, or an answer or a countdown verdict that differs from
`independent.py`. What would leave the process (math-verify, reasoning-gym) is answered by a stub; everything in front
of it is fuzzed. libFuzzer's own options apply.
"""

import json
import sys
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


def _stub(function: str, *arguments: object, cpu_seconds: float) -> object:
    json.dumps(arguments)
    return False if function.startswith("reward_fns._math") else 0.5


def _fail(message: str, *arguments: object) -> None:
    raise AssertionError(message % arguments)


def _response(data: atheris.FuzzedDataProvider) -> str:
    if data.ConsumeBool():
        text = "".join(PIECES[data.ConsumeIntInRange(0, len(PIECES) - 1)] for _ in range(data.ConsumeIntInRange(0, 40)))
    else:
        text = ""
    text += data.ConsumeUnicode(data.remaining_bytes())
    return rf"\boxed{{{text}}}" if data.ConsumeBool() else text


def check(raw: bytes) -> None:
    """One input."""
    data = atheris.FuzzedDataProvider(raw)
    data_source, truth = ROWS[data.ConsumeIntInRange(0, len(ROWS) - 1)]
    response = _response(data)
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


if __name__ == "__main__":
    for module in (reward_fns.maths, reward_fns.rg):
        module.call = _stub
    reward_fns.scoring.logger.exception = _fail
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
