"""What runs in the helper process for `reward_fns.maths`."""

from typing import Any

from math_verify import LatexExtractionConfig, parse, verify

# LaTeX only: the library's reader of plain expressions goes through sympy's parse_expr, which evaluates Python code.
_LATEX = (LatexExtractionConfig(),)


def same_value(reference: str, answer: str) -> bool:
    """Whether math-verify reads both as LaTeX and finds them equal. Its timeouts are off: the helper has its own."""
    return bool(verify(_read(reference), _read(answer), timeout_seconds=None))


def _read(text: str) -> list[Any]:
    return parse(f"${text}$", extraction_config=_LATEX, fallback_mode="no_fallback", parsing_timeout=0)
