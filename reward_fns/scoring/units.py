r"""The words and signs behind a number: a unit, a scale such as "million", or words that are neither.

    unit_tokens(r"\text{ cm}^2")         ->  ["cm", "^2"]     of which canonical_unit makes ("cm^2",)
    unit_tokens(r"\text{ million}")      ->  ["million"]      which is in SCALES
    unit_tokens(r"\text{ times two}")    ->  None             which is arithmetic

Any word may be a unit ("students"), except those that say another number, a comparison or a verdict.
"""

import re
from fractions import Fraction

UNITS = {
    name: canonical
    for canonical, names in {
        "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
        "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile", "g": "gram", "mg": "milligram",
        "kg": "kilogram", "lb": "pound", "oz": "ounce", "s": "sec second", "min": "minute", "h": "hr hour",
        "day": "", "week": "", "month": "", "year": "yr", "l": "liter litre", "ml": "milliliter millilitre",
        "gal": "gallon", "qt": "quart", "pt": "pint", "cup": "", "cent": "", "dollar": "usd", "degree": "deg",
        "rad": "radian", "am": "", "pm": "", "unit": "", "mph": "", "%": "percent", "hz": "hertz", "j": "joule",
        "n": "newton", "w": "watt", "v": "volt", "mol": "mole", "k": "kelvin",
    }.items()
    for name in (canonical, *names.split())
}  # fmt: skip
POWERS = {"square": "^2", "sq": "^2", "squared": "^2", "cubic": "^3", "cu": "^3", "cubed": "^3"}
SCALES = {
    name: Fraction(scale)
    for scale, names in {
        "10": "tens", "12": "dozen dozens", "1e2": "hundred hundreds", "1e3": "thousand thousands",
        "1e5": "lakh lakhs", "1e6": "million millions mln", "1e7": "crore crores", "1e9": "billion billions bn",
        "1e12": "trillion trillions", "1/2": "halves", "1/3": "thirds", "1/4": "fourths", "1/5": "fifths",
        "1/6": "sixths", "1/7": "sevenths", "1/8": "eighths", "1/9": "ninths", "1/10": "tenths",
        "1e-2": "hundredths", "1e-3": "thousandths", "1e-6": "millionths",
    }.items()
    for name in names.split()
}  # fmt: skip

_NO_UNIT = frozenset(
    re.findall(
        r"\w+",
        "is are was be the answer value equals equal and or not maybe if then so because either neither except x "
        "plus minus over mod modulo remainder divided multiplied increased decreased reduced negative reciprocal "
        "inverse root factorial infinity pi theta sqrt log repeating recurring below than least most point "
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety half third fourth fifth "
        "sixth seventh eighth ninth tenth twice thrice doubled tripled quadrupled halved "
        "wrong incorrect false no none never unknown",
    )
)
_PIECE = (
    r"(?:\^\s?(?:\{\s?)?\\circ(?:\s?\})?|\\?%|\\text\{[^{}]*\}|(?<=[0-9})\] /])[^\W\d_][^\W\d_.]*(?:\.[^\W\d_]\.?)?)"
    r"(?:\s?\^\s?\{?-?[0-9]\}?)?"
)
UNIT_TAIL = re.compile(rf"{_PIECE}(?:\s*(?:/|\\cdot)?\s*{_PIECE}){{0,7}}\.?\Z")
_TOKEN = re.compile(r"\\circ|%|/|\^\s?\{?-?[0-9]|[^\W\d_]+(?:\.[^\W\d_]\.?)?")
_COMPOUND = re.compile(r"[^\W\d_]+-(?=[^\W\d_])")  # "one-dollar bills" are no one
_LONE_NUMBER = re.compile(r"(?<![\w^{-])-?[0-9]")
_MAX_WORDS = 4


def unit_tokens(tail: str) -> list[str] | None:
    """The words and signs of a tail that `UNIT_TAIL` matched; None if they are neither a unit nor a scale."""
    plain = tail.replace(r"\text", " ")
    tokens = [token.replace(".", "") for token in _TOKEN.findall(plain)]
    lower = [token.casefold() for token in tokens]
    words = words_of(lower)
    sentence = {token.casefold() for token in _TOKEN.findall(_COMPOUND.sub("", plain))} & _NO_UNIT
    if sentence or _LONE_NUMBER.search(plain) or "k" in tokens:  # kelvin is K, and k a thousand
        return None
    if len(words) > _MAX_WORDS or (words and set(words) <= POWERS.keys()):
        return None
    return lower


def words_of(tokens: list[str]) -> list[str]:
    """The tokens that are words."""
    return [token for token in tokens if token not in ("\\circ", "%", "/") and token[0] != "^"]


def is_known(words: list[str]) -> bool:
    """Whether all words are units of the list, powers or "per"."""
    return all(_singular(word) in UNITS or word in POWERS or word == "per" for word in words)


def canonical_unit(tokens: list[str]) -> tuple[str, ...]:
    """The unit in one spelling; raises KeyError for a word that is not in the list."""
    unit: list[str] = []
    pending = ""
    for token in tokens:
        if token in ("/", "per"):
            unit.append("/")
        elif token == "\\circ":
            unit.append("degree")
        elif token in ("square", "sq", "cubic", "cu"):
            pending = POWERS[token]
        elif token in POWERS or token[0] == "^":
            unit[-1:] = [part + POWERS.get(token, "^" + token[-1]) for part in unit[-1:]]
        elif token == "mph":
            unit += ["mi", "/", "h"]
        else:
            unit.append(UNITS[_singular(token)] + pending)
            pending = ""
    return tuple(unit)


def _singular(word: str) -> str:
    return word if word in UNITS else word.removesuffix("s")
