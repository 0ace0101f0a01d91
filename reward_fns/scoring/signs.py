# ruff: noqa: RUF001, RUF002, SIM905 - signs that look like others are what this table is about
r"""Unicode as LaTeX or ASCII: how each sign is written out.

    on_line("10² × ½ ≤ π")  ->  r"10^{2} \times \frac{1}{2} \le \pi "

Letters, and digits that are not forms of 0 to 9, are kept.
"""

import re

_SIGNS = {
    "\\times ": "×✕✖⨯",
    "\\cdot ": "·⋅∙•",
    "\\div ": "÷",
    "-": "−‐‑‒–—﹣",
    "*": "∗⁎",
    "/": "⁄∕",
    "\\pm ": "±",
    "\\mp ": "∓",
    "\\sqrt ": "√",
    "\\sqrt[3] ": "∛",
    "\\infty ": "∞",
    "^\\circ ": "°º",
    "\\le ": "≤⩽",
    "\\ge ": "≥⩾",
    "\\ne ": "≠",
    "\\approx ": "≈",
    "\\equiv ": "≡",
    "\\in ": "∈",
    "\\cup ": "∪",
    "\\cap ": "∩",
    "\\emptyset ": "∅",
    "\\to ": "→⟶⇒",
    "\\leftrightarrow ": "⇌⇋↔",
    "\\angle ": "∠",
    "\\ldots ": "…⋯",
    "\\mathbb{R}": "ℝ",
    "\\langle ": "⟨〈",
    "\\rangle ": "⟩〉",
    "|": "∣",
    "\\frac{1}{2}": "½",
    "\\frac{1}{3}": "⅓",
    "\\frac{2}{3}": "⅔",
    "\\frac{1}{4}": "¼",
    "\\frac{3}{4}": "¾",
    '"': "“”„«»″〝〞",
    "'": "‘’‚′",
    ".": "。",
    ",": "、",
    " ": "£€¥₹\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "": "\u200b\u2060\ufeff\xad",
}
_GREEK = (
    "α alpha β beta γ gamma δ delta ε epsilon θ theta λ lambda μ mu ν nu ρ rho σ sigma τ tau φ phi χ chi ψ psi ω omega "
    "π pi Γ Gamma Δ Delta Θ Theta Λ Lambda Σ Sigma Φ Phi Ψ Psi Ω Omega"
).split()
_TABLE = str.maketrans(
    {sign: written for written, signs in _SIGNS.items() for sign in signs}
    | {letter: rf"\{name} " for letter, name in zip(_GREEK[::2], _GREEK[1::2], strict=True)}
    | {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII
)
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "₀₁₂₃₄₅₆₇₈₉₊₋"
_TO_LINE = str.maketrans(_RAISED + _LOWERED, "0123456789+-" * 2)
_OFF_LINE = re.compile(f"[{_RAISED}]+|[{_LOWERED}]+")


def on_line(text: str) -> str:
    """The text with every sign of the table written out, and raised and lowered digits as `^{..}` and `_{..}`."""
    return _OFF_LINE.sub(_written_out, text).translate(_TABLE)


def _written_out(match: re.Match[str]) -> str:
    return ("^{" if match[0][0] in _RAISED else "_{") + match[0].translate(_TO_LINE) + "}"
