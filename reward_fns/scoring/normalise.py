r"""One spelling for what is the same on paper: the step that every task applies to truth and answer alike.

    normalised(r"\[12 \times 5 - 8\].")            ->  r"12 \times 5 - 8"
    normalised(r"\textbf{bob}")                 ->  "bob"
    normalised(r"\left[ 2,\; \tfrac{1}{2} \right)")  ->  r"[ 2, \frac{1}{2} )"

Unicode becomes LaTeX or ASCII by a table, spaces and line breaks become single spaces, and mere typesetting is dropped:
mathematical delimiters, bracket sizes, fonts, markup, quotation marks, currency signs, final punctuation. Words within
a formula stay in `\text{...}`, where `unwrapped` takes them out. Nothing that is apart is joined: `0\,0` is `0 0`.
"""

import re

from reward_fns.scoring.signs import on_line

_PLAIN = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-*/()= ")
"""Text of these alone needs no change but for blanks and asterisks; most answers are such text."""

_FENCE = re.compile(r"\s*```[A-Za-z]*\s(.*)```\s*", re.DOTALL)
_DOUBLED_BACKSLASH = re.compile(
    r"\\\\(?=(?:frac|dfrac|sqrt|text|times|cdot|pi|left|right|circ|infty|boxed|div)(?![A-Za-z]))"
)
_COMMAND = re.compile(
    r"(?P<row>\\\\(?:\[[^\[\]]{0,20}\])?)"
    r"|(?<=,)\\!\s*|\\\Z"
    r"|(?P<space>\\[!/,;:> ()\[\]$]|~|\$|\\(?:left|right)(?![A-Za-z])\s*\.?|\\[bB]igg?[lrm]?(?![A-Za-z])"
    r"|\\(?:q?quad|(?:thin|med|thick|en)space|displaystyle|textstyle|limits|rm|bf)(?![A-Za-z])"
    r"|\\[hv]space\*?\s?\{[^{}]{0,20}\}|\\h?phantom\s?\{[^{}]{0,40}\})"
    r"|\\(?P<name>[A-Za-z]+)"
)
_NAMES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le", "geq": "ge",
    "leqslant": "le", "geqslant": "ge", "neq": "ne", "rightarrow": "to", "longrightarrow": "to", "ast": "cdot",
    "lbrace": "{", "rbrace": "}", "degree": "circ", "varnothing": "emptyset", "dots": "ldots", "cdots": "ldots",
    "rightleftharpoons": "leftrightarrow", "rightleftarrows": "leftrightarrow",
}  # fmt: skip
_SIGNS = {
    "degree": r"^\circ ",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "mid": "|",
    "lbrack": "[",
    "rbrack": "]",
    "lt": "<",
    "gt": ">",
}
_MAX_DEPTH = 4  # of braces in what a font surrounds
_INSIDE = r"[^{}]*"
for _ in range(_MAX_DEPTH):
    _INSIDE = rf"[^{{}}]*(?:\{{{_INSIDE}\}}[^{{}}]*)*"
_FONT = re.compile(
    r"\\(text(?:rm|bf|it|sf|tt|normal|up)?|mbox|hbox|math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm|emph|underline|operatorname|ce)\s?"
    rf"\{{({_INSIDE})\}}"
)
_FONTS_DEEP = 3
_WORD = re.compile(r"[^\W\d_]{2}|[^\W\d_A-Za-z]")
_SHORT_UNITS = tuple("mgshlLkKNJWVC")
_UPRIGHT = ("text", "textrm", "mbox", "hbox", "mathrm")
_GAP_AFTER_COMMAND = re.compile(r"(\\[A-Za-z]+)\s+(?=[^A-Za-z\s])")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")

_MAX_LAYERS = 8
_WHOLE = re.compile(
    r"\*\*(?P<bold>(?:[^*]|\*(?!\*))+)\*\*|\*(?P<italic>[^*]+)\*|__(?P<under>[^_]+)__|`+(?P<code>[^`]*[^`'])[`']+"
    r'|"(?P<double>[^"]+)"|\'(?P<single>[^\']+)\'|\'\'(?P<twice>[^\']+)\'\'|\\text\{(?P<text>[^{}]*)\}|\{(?P<group>[^{}]*)\}'
)
_FINAL = re.compile(r"(?<!\s)\s*(?:[,;:]|(?<!\.\.)\.)$")  # not an ellipsis


def normalised(text: str) -> str:
    """The text in its one spelling; linear in its length."""
    if _PLAIN.issuperset(text) and "**" not in text and "  " not in text and text == text.strip(" *"):
        return text
    fence = _FENCE.fullmatch(text)
    text = fence[1].rstrip() if fence else text
    if not text.isascii():
        text = on_line(text)
    if "\\" in text or "$" in text or "~" in text:
        if r"\begin" not in text:
            text = _DOUBLED_BACKSLASH.sub(r"\\", text)
        text = _COMMAND.sub(_one_command, text)
        for _ in range(_FONTS_DEEP):  # a font within a font
            text = _FONT.sub(_one_font, text)
        text = _GAP_AFTER_COMMAND.sub(r"\1", text)
    return _without_wrapping(" ".join(text.split()))


def unwrapped(text: str) -> str:
    r"""Normalised text with its words taken out of `\text{...}`, for tasks in which that says nothing."""
    return " ".join(_TEXT.sub(r" \1 ", text).split()) if r"\text" in text else text


def _one_command(match: re.Match[str]) -> str:
    if match["row"]:
        return r"\\"
    if match["space"]:
        return " "
    name = match["name"]
    return (_SIGNS.get(name) or "\\" + _NAMES.get(name, name)) if name else ""


def _one_font(match: re.Match[str]) -> str:
    r"""Words stay words, in one flat `\text{...}`; around anything else, and around braces, a font says nothing."""
    font, content = match.groups()
    behind_number = match.string[: match.start()].rstrip()[-1:].isdigit()
    unit = font in _UPRIGHT and behind_number and content.strip() in _SHORT_UNITS
    if "{" not in content and (unit or _WORD.search(content)):
        return rf"\text{{{content}}}"
    return " " + content if content[:1].isalpha() else content  # do not join it to the name of a command before it


def _without_wrapping(text: str) -> str:
    """Without final punctuation and without markup around the whole."""
    for _ in range(_MAX_LAYERS):
        bare = _FINAL.sub("", text)
        whole = _WHOLE.fullmatch(bare)
        if whole and whole.lastgroup:
            bare = whole[whole.lastgroup].strip()
        if bare == text or not bare:
            return text
        text = bare
    return text
