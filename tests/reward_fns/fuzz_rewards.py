"""Coverage-guided fuzzing of the rewards, for as long as you like; not collected by pytest.

    pip install atheris
    mkdir -p /tmp/corpus
    python tests/reward_fns/fuzz_rewards.py -runs=1000000 -max_len=400 /tmp/corpus

An input is a byte that picks a row, a byte that picks how to read the rest, and the rest: a response in which bytes
from 128 up stand for pieces that matter, or UTF-16. Some are repeated up to a megabyte. An empty corpus directory is
first filled with answers.

A finding is an exception (even one that was caught and logged), a score outside the three, keys or values that
disagree, an answer that `independent.py` reads differently, a 1.0 that it does not grant, a right countdown answer that
gets none, or a text that costs 50 ms of CPU time in the fastest of five calls (one call may be slow because of other
work on the machine). What would leave the process (math-verify, reasoning-gym) is answered by `independent.helper`;
everything in front of it is fuzzed. Every 100,000 inputs a line says how many were right, by task, and how long the
slowest call took. libFuzzer's own options apply.
"""

import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import atheris

with atheris.instrument_imports(include=["reward_fns"]):  # before anything else imports from there
    import independent
    from independent import ROWS

    import reward_fns
    import reward_fns.arc
    import reward_fns.countdown
    import reward_fns.maths
    import reward_fns.rg
    import reward_fns.sciknoweval
    import reward_fns.scoring.arithmetic
    import reward_fns.scoring.chemistry
    import reward_fns.scoring.compute_score
    import reward_fns.scoring.equality
    import reward_fns.scoring.extraction
    import reward_fns.scoring.normalise
    import reward_fns.scoring.notation
    import reward_fns.scoring.relations
    import reward_fns.scoring.values
    import reward_fns.zebra

LIMIT_MS = 50.0
CALLS = 5
LONG = 1_000_000  # characters of a repeated response
LONG_ONE_IN = 100  # by a checksum: with a byte of the input instead, the fuzzer would end up making only such slow ones
COMPARED = 5_000  # the independent reader takes quadratic time
PIECES = [r"\boxed{", r"\boxed", "{", "}", r"\{", "\\", "<answer>", "</answer>", "Assistant:", "<|im_start|>assistant"]
PIECES += [" ", "3", "8", "12", "24", "+", "-", "*", "/", "(", ")", "=", ".", r"\times", r"\div", r"\cdot", r"\frac{"]
PIECES += [r"\left", r"\right", "\u00d7", "\u00f7", "\u2212", "\u00b7", "carol", "0 0 9", "true", "B", "\n", "\ud800"]
PIECES += ["12/(3-8/8)/8", "8/8*", "12+12", r"}{", "(3*8)", "(12-", "$", r"\text{", "open", "x=", "\u0663", "\x00"]
PIECES += ["[", "]", r"\,", r"\quad", r"\mathrm{", r"\\", "END", "->", "H_2", "(a, b)", "**", "`", "~", "\u00b2", ";"]
PIECES += [r"\pm", r"\cup", "_5", r"\text{ or }", "cm", "\uff11", "\u221a", "<", r"\in", "|", r"\begin{pmatrix}", ":"]
PIECES += [r"\end{pmatrix}", "2H2O", " = ", "(a, effect, b)", "(b, int, c)", "\\boxed 12", "<Answer>", "</ANSWER>"]
PIECES += ["<tool_response>", "</tool_response>", "tool", "\nuser\n", "\nassistant\n", "system\n", "\nUser: ", "Human:"]
PIECES += ["<|im_start|>user", "<|im_start|>tool", "<|im_end|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|"]
PIECES += [
    "[INST]",
    "[/INST]",
    "Fe",
    "e",
    "2+",
    "-",
    "^{",
    "million ",
    "tenths ",
    r"\overline{",
    r"\!",
    "```",
    "'",
    "B. ",
    "V",
]
SEEDS = ["(8 - 8/8)", "12+12+8-8", "12/(3-8/8)/8", r"\frac{8}{8} \times 12 + 12*3 - 24", "8*3*(12/(8+4)) = 24", "carol"]
SEEDS += ["8*12/3-8", r"\frac{8 \times 12}{3} - 8 = 24", r"\left(8/(3/12)\right)-8", "-8--8*12/3"]
SEEDS += ["0 0 9", r"x = \frac12", r"\text{(B)}", "true", "15e-1", "4*3+sqrt(x)", "[[1, 'a'], [2.0]]", "NaCl"]
SEEDS += [r"\text{Table salt}.", "O2 + 2H2 = 2H2O", r"O_2+2H_2 \to 2H_{2}O", "(b, int, c), (a, effect, b)"]
SEEDS += [
    r"\boxed{\boxed{3}}",
    r"0.4\overline{9}",
    r"5\text{ tenths}",
    "B. 12 V",
    "B. Methane, C",
    r"15 \times 10^{-1}",
]
SEEDS += ["<answer>0 0 9</answer>", r"Assistant: \boxed {8/3-\left(3*8\right)} \boxed{", "3*8*(12/12)", "(12-8/8-8)*8"]
SEEDS += ["carol}\nuser\n?\nassistant\n\\boxed{", "carol}<tool_response>B</tool_response> \\boxed{B"]


right: Counter[str] = Counter()
inputs, slowest_ms = 0, 0.0


def _fail(message: str, *arguments: object) -> None:
    raise AssertionError(message % arguments)


def _response(how: int, rest: bytes) -> str:
    if how % 4 == 3:
        text = rest.decode("utf-16-le", "surrogatepass") if len(rest) % 2 == 0 else rest.decode("latin-1")
    else:
        text = "".join(chr(byte) if byte < 128 else PIECES[(byte - 128) % len(PIECES)] for byte in rest)
    if crc32(rest) % LONG_ONE_IN == 0 and text:
        text *= -(-LONG // len(text))
    return rf"\boxed{{{text}}}" if how % 4 else text


def _timed(data_source: str, response: str, truth: dict[str, Any]) -> tuple[dict[str, float], float]:
    """The reward, and the milliseconds of CPU time of the first call under the limit, or of the last."""
    for _ in range(CALLS):
        begin = time.thread_time()
        result = reward_fns.compute_score(data_source, response, truth)
        milliseconds = 1000 * (time.thread_time() - begin)
        if milliseconds < LIMIT_MS:
            break
    return result, milliseconds


def check(raw: bytes) -> None:
    """One input."""
    global inputs, slowest_ms
    if len(raw) < 2:
        return
    row = ROWS[raw[0] % len(ROWS)]
    data_source, truth = row
    response = _response(raw[1], raw[2:])
    result, milliseconds = _timed(data_source, response, truth)
    assert milliseconds < LIMIT_MS, f"{milliseconds:.1f} ms for {len(response)} characters"
    assert list(result) == ["score", "acc", "format"], result
    assert tuple(result.values()) in {(1.0, 1.0, 1.0), (0.1, 0.0, 1.0), (0.0, 0.0, 0.0)}, result

    answer = independent.final_answer(response) if len(response) <= COMPARED else reward_fns.extract_answer(response)
    assert answer == reward_fns.extract_answer(response), (answer, response)
    assert result["format"] == float(answer is not None)
    if result["acc"]:
        assert answer is not None and independent.may_be_right(row, answer), answer
    elif data_source.startswith("countdown") and answer is not None and answer.count("(") <= 50:
        assert independent.countdown_value(answer, independent.NUMBERS) != independent.TARGET, answer

    inputs, slowest_ms = inputs + 1, max(slowest_ms, milliseconds)
    right[data_source] += bool(result["acc"])
    if inputs % 100_000 == 0:
        print(f"{inputs} inputs, right {dict(right)}, slowest {slowest_ms:.1f} ms", flush=True)


def _fill_empty_corpora(arguments: list[str]) -> None:
    for folder in map(Path, arguments):
        if folder.is_dir() and not any(folder.iterdir()):
            for row, how in product(range(len(ROWS)), range(2)):
                for number, seed in enumerate(SEEDS):
                    (folder / f"seed-{row}-{how}-{number}").write_bytes(bytes([row, how]) + seed.encode())


if __name__ == "__main__":
    _fill_empty_corpora(sys.argv[1:])
    for module in (reward_fns.maths, reward_fns.rg):
        module.call = independent.helper
    reward_fns.scoring.compute_score.logger.exception = _fail
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
