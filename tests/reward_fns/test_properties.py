"""Properties of the rewards over generated text, against `independent.py`, and bounds on the work they do."""

import sys
from fractions import Fraction

import independent
import pytest
from hostile import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import NUMBERS, ROWS, TARGET

from reward_fns import compute_score, extract_answer, known_tasks, maths, rg
from reward_fns.scoring import arithmetic
from reward_fns.scoring.extraction import own_turn
from reward_fns.scoring.normalise import normalised

pytestmark = pytest.mark.slow

# Pieces that are likelier than single characters to reach the interesting branches.
WORDS = r"\boxed{ \boxed { } \{ <answer> </answer> <Answer> Assistant: User: <|im_start|>assistant carol Carol"
WORDS += r" <|im_start|>user <|im_end|> <tool_response> </tool_response> \text{ [INST] ` ** $"
SYMBOLS = r"3 8 8 12 24 1 0 + - * / ( ) [ ] = . ** \times \div \cdot \frac{ \left( \right) \, \quad ~"
CHARACTERS = (
    "\\ \n\x00\ud800\u0663\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}\N{MINUS SIGN}\N{MIDDLE DOT}\N{NO-BREAK SPACE}"
)
PIECES = st.sampled_from([*WORDS.split(), *SYMBOLS.split(), *CHARACTERS, "0 0 9", "\nUser: "])
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
TEXTS = st.lists(PIECES | ANY_TEXT, max_size=30).map("".join)


def expressions():
    """Well-formed arithmetic over the numbers of the puzzle, in a few spellings."""
    numbers = st.permutations(NUMBERS)

    @st.composite
    def build(draw):
        leaves = [str(number) for number in draw(numbers)]
        while len(leaves) > 1:
            at = draw(st.integers(0, len(leaves) - 2))
            template = draw(
                st.sampled_from(["({}+{})", "({} - {})", "{}*{}", "({}/{})", "({}+-{})", "-({}*{})"])
                | st.sampled_from([r"\frac{{{}}}{{{}}}", r"({} \times {})", "({} \N{DIVISION SIGN} {})", "{}-{}"])
            )
            leaves[at : at + 2] = [template.format(leaves[at], leaves[at + 1])]
        return leaves[0] + draw(st.sampled_from(["", "=24", " = 24 ", "= 25"]))

    return build()


@pytest.fixture(autouse=True, scope="module")
def stand_in_for_the_helper_process():
    known_tasks()  # so that no test counts the imports as work
    with pytest.MonkeyPatch.context() as patch:
        for module in (maths, rg):
            patch.setattr(module, "call", independent.helper)
        yield


@settings(max_examples=1000, deadline=None)
@given(TEXTS, st.sampled_from(ROWS))
def test_any_text_gets_one_of_three_scores_and_none_gets_one_that_should_not(text, row):
    for response in (text, rf"\boxed{{{text}}}"):
        result = compute_score(row[0], response, row[1])
        assert list(result) == ["score", "acc", "format"]
        assert tuple(result.values()) in {(1.0, 1.0, 1.0), (0.1, 0.0, 1.0), (0.0, 0.0, 0.0)}
        if result["acc"]:
            assert independent.may_be_right(row, independent.final_answer(response))


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_extraction_agrees_with_an_independent_one(text):
    assert extract_answer(text) == independent.final_answer(text)


@settings(max_examples=1000, deadline=None)
@given(TEXTS | expressions(), st.sampled_from([0, 0, 0, 1, -1]))
def test_countdown_agrees_with_python_s_own_parser(answer, error):
    # The target is the expression's value, or off by one: right answers are as common as wrong ones.
    value = independent.countdown_value(answer.partition("=")[0], NUMBERS)
    target = error + (int(value) if value is not None and value.denominator == 1 else TARGET)
    answer = answer.replace("24", str(target))
    response = rf"\boxed{{{answer}}}"
    answer = independent.final_answer(response) or ""
    result = compute_score("countdown-mini-train", response, {"numbers": NUMBERS, "target": target})
    if result["acc"]:
        assert independent.countdown_reading(answer, NUMBERS) == target
    else:
        assert independent.countdown_value(answer, NUMBERS) != target


@settings(max_examples=500, deadline=None)
@given(expressions())
def test_exact_values_agree_with_python_s_own_parser(answer):
    left = answer.partition("=")[0]
    try:
        value = arithmetic.evaluate(arithmetic.tokenize(normalised(left)))
    except ArithmeticError:
        value = None
    assert value == independent.countdown_value(left, NUMBERS)
    assert value is None or isinstance(value, (int, Fraction))


@given(TEXTS)
def test_no_text_before_the_final_box_changes_the_score(text):
    data_source, truth = ROWS[1]
    response = text + r" \boxed{carol}"
    assert compute_score(data_source, response, truth)["acc"] == 1.0 or own_turn(response) != response


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("row", ROWS, ids=[f"{number}-{row[0]}" for number, row in enumerate(ROWS)])
def test_hostile_text_costs_bounded_work(name, row):
    """Counted in Python function calls and lines rather than seconds: a few per character would be in the millions."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += 1
        return count

    sys.settrace(count)
    try:
        result = compute_score(row[0], HOSTILE[name], row[1])
    finally:
        sys.settrace(None)
    assert result["acc"] == 0.0
    assert steps < 50_000
