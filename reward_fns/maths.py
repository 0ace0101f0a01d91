r"""Mathematics: an answer in LaTeX that is worth the same as the reference.

    ground_truth "\frac{1}{2}" or {"target": "\frac{1}{2}"}, answer "x = 0.5"  ->  correct

Equal text and plain numbers are settled here. The rest is judged in a helper process with a limit on its CPU time: its
structure by `reward_fns.scoring.notation` and `equality`, its values by latex2sympy and sympy. An answer that is a
statement where the reference is a value ("1+1=2", "4=3") is wrong, unless it names the value ("x = 3").
"""

from typing import Any

from reward_fns.isolation import call
from reward_fns.registry import register
from reward_fns.scoring.normalise import normalised
from reward_fns.scoring.truth import number_as_text, read_single_target
from reward_fns.scoring.values import read_value, same_number

MAX_CHARS = 300
CPU_SECONDS = 1.0


def read_reference(fields: dict[str, Any], **_: Any) -> str:
    """The reference as text; a number is accepted, too, but not NaN, infinity or a list."""
    target = fields.get("target")
    if isinstance(target, (int, float)) and not isinstance(target, bool):
        return number_as_text(target)
    return read_single_target(fields)


@register("math", "math_train", "test_math", "test_amc", "test_aime", truth=read_reference)
def equals_the_reference(answer: str, reference: str, **_: Any) -> bool:
    """Whether the answer has the value of the reference.

    Raises IsolatedCallError, which counts as wrong, where comparing them takes longer than CPU_SECONDS.
    """
    if len(answer) > MAX_CHARS:
        return False
    answer, reference = normalised(answer), normalised(reference)
    if answer == reference:
        return True
    values = read_value(reference), read_value(answer)
    if all(value.number is not None and not value.unit and not value.base for value in values):
        return same_number(*values)
    return call("reward_fns.isolation.run_math_verify:same_value", reference, answer, cpu_seconds=CPU_SECONDS)


def is_read(reference: str) -> bool:
    """Whether the judge can read a reference; if it cannot, only the same letters are right.

    Raises IsolatedCallError where reading takes longer than CPU_SECONDS.
    """
    return call("reward_fns.isolation.run_math_verify:is_read", normalised(reference), cpu_seconds=CPU_SECONDS)
