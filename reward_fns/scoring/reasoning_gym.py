"""Where reasoning-gym 0.1.25 gives full marks to what solves nothing: stricter rules, by data set.

    game_of_life_halting   takes any text for "True"         -> True or False
    coin_flip              takes 0, or a first digit         -> within 1e-4 and 1 % of the probability
    puzzle24               takes any four numbers            -> the puzzle's numbers, exactly 24
    every data set         may take NaN for any number       -> no NaN or infinity
    the integrals          take the integral of the question -> no `Integral`

NaN, infinity and `Integral` are allowed where the data set's own answer has them; an answer with `Integral` must then
be that answer.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from reward_fns.scoring.arithmetic import evaluate, tokenize
from reward_fns.scoring.normalise import normalised
from reward_fns.scoring.values import read_value

_NO_NUMBER = re.compile(r"(?<![^\W_])(?:nan|inf(?:inity)?)[ij]?(?![^\W_])", re.IGNORECASE)
_MAX_CHARS = 100
_TOLERANCE, _SHARE = Fraction(1, 10_000), Fraction(1, 100)


def dodges(answer: str, gold: Any) -> bool:
    """Whether the answer names what a scorer takes for the solution without having one: NaN, an open integral."""
    answer, gold = (re.sub(r"\s", "", text) for text in (answer, str(gold)))
    if "Integral" in answer and answer != gold:
        return True
    return _NO_NUMBER.search(answer) is not None and _NO_NUMBER.search(gold) is None


def own_judge(dataset: str) -> Callable[[str, dict[str, Any]], bool] | None:
    """What judges an answer by its entry in place of the data set's scorer; None where that one is used."""
    return _JUDGES.get(dataset)


def _halts(answer: str, entry: dict[str, Any]) -> bool:
    return normalised(answer).casefold() == str(entry["answer"]).casefold()


def _is_the_probability(answer: str, entry: dict[str, Any]) -> bool:
    gold, value = Fraction(entry["answer"]), read_value(normalised(answer[:_MAX_CHARS]))
    if len(answer) > _MAX_CHARS or value.number is None or value.unit != () or value.base:
        return False
    return abs(value.number - gold) <= min(_TOLERANCE, _SHARE * gold)


def _makes_24(answer: str, entry: dict[str, Any]) -> bool:
    try:
        tokens = tokenize(normalised(answer))
        used = sorted(filter(str.isdecimal, tokens))
        return used == sorted(map(str, entry["metadata"]["numbers"])) and evaluate(tokens) == 24
    except ArithmeticError:
        return False


_JUDGES = {"game_of_life_halting": _halts, "coin_flip": _is_the_probability, "puzzle24": _makes_24}
