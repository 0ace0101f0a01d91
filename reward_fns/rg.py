r"""Any data set of reasoning-gym, by its own scorer: data_source "rg:<data set>", such as "rg:leg_counting-train".

    entry = reasoning_gym.create_dataset("leg_counting", seed=1, size=10)[0]
    ground_truth = {"target": entry["answer"], "entry": pack_entry(entry)}

`entry` may also be in `extra_info`; a data set made with other settings adds them as JSON text in `config`. An answer
is correct if the scorer gives it the full 1.0, as it stands or as `normalised` leaves it; part marks count as wrong but
well-formed. Answers that contain braces are safer in `<answer>` tags than in a box. Where a scorer gives full marks to
what solves nothing, `reward_fns.scoring.reasoning_gym` has stricter rules.

Several of reasoning-gym's scorers run the answer through `eval` or sympy's `parse_expr`, which amounts to the same.
Answers to those data sets must keep to an alphabet that cannot call anything, and all scorers run in a helper process
with a time limit.
"""

import json
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from reward_fns.isolation import IsolatedCallError, call
from reward_fns.registry import register
from reward_fns.scoring.normalise import normalised, unwrapped
from reward_fns.scoring.reasoning_gym import dodges, own_judge

CPU_SECONDS = 5.0
MAX_CHARS = 10_000
FULL_MARKS = 1.0 - 1e-9

PARSED_AS_EXPRESSIONS = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
PARSED_AS_LISTS = frozenset({"binary_matrix", "n_queens", "number_sorting", "spiral_matrix", "string_insertion"})

# Single letters and a few functions, but no attribute access: no one-letter name of sympy or Python does harm without a
# quoted string.
_EXPRESSION = re.compile(
    r"(?:[0-9\s+*/^(),=-]|\.(?!\s*[A-Za-z_])"
    r"|(?<![A-Za-z_])(?:[A-Za-z]|a?(?:sin|cos|tan)h?|sec|csc|cot|exp|log|ln|sqrt|pi|Abs|Integral)(?![A-Za-z_]))*",
    re.ASCII,
)
_LIST = re.compile(r"[\w\s\[\],.'\"-]*", re.ASCII)


class Entry(NamedTuple):
    """A row: the data set's name, its settings as JSON text and the packed entry."""

    dataset: str
    config: str
    packed: str


def read_entry(fields: dict[str, Any], *, data_source: str, extra_info: Any = None, **_: Any) -> Entry:
    """The row's entry; raises ValueError where it is missing or not from `pack_entry`, or the data set is unknown."""
    dataset = data_source.partition(":")[2].partition("-")[0]
    if not dataset:
        raise ValueError("the data_source must name a data set of reasoning-gym: 'rg:leg_counting'")
    packed = fields.get("entry") or (extra_info.get("entry") if isinstance(extra_info, dict) else None)
    if not isinstance(packed, str) or not isinstance(unpack_entry(packed), dict):
        raise ValueError("the field 'entry', here or in extra_info, must be what reward_fns.rg.pack_entry returned")
    config = fields.get("config", "{}")
    _require_dataset(dataset, config)
    return Entry(dataset, config, packed)


@register("rg", truth=read_entry)
def satisfies_reasoning_gym(answer: str, entry: Entry, **_: Any) -> bool:
    """Whether reasoning-gym's scorer gives the answer full marks, or a stricter rule does."""
    if len(answer) > MAX_CHARS:
        return False
    fields = unpack_entry(entry.packed)
    spellings = list(dict.fromkeys([answer, unwrapped(normalised(answer))]))
    spellings = [text for text in spellings if not dodges(text, fields.get("answer"))]
    judge = own_judge(entry.dataset)
    if judge:
        return any(judge(text, fields) for text in spellings)
    spellings = [text for text in spellings if is_safe(entry.dataset, text)]
    if not spellings:
        return False
    score = call("reward_fns.isolation.run_reasoning_gym:best_score", *entry, spellings, cpu_seconds=CPU_SECONDS)
    return score >= FULL_MARKS


def is_safe(dataset: str, answer: str) -> bool:
    """False for an answer that the data set's scorer would evaluate and that could call something."""
    if dataset in PARSED_AS_EXPRESSIONS:
        return _EXPRESSION.fullmatch(answer) is not None
    if dataset in PARSED_AS_LISTS:
        return _LIST.fullmatch(answer) is not None
    return True


def pack_entry(entry: dict[str, Any]) -> str:
    """An entry as JSON text that `unpack_entry` turns into an equal one, with its tuples, fractions and odd keys.

    A struct column would not do: parquet gives every row the fields of all rows, and scorers compare tuples.
    """
    return json.dumps(_pack(entry))


def unpack_entry(packed: str) -> Any:
    """The entry that `pack_entry` was given."""
    return json.loads(packed, object_hook=_unpack)


_MARKS = {"<tuple>", "<items>", "<fraction>"}


def _pack(value: Any) -> Any:
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not value.keys() & _MARKS:
            return {str(key): _pack(field) for key, field in value.items()}
        return {"<items>": [[_pack(key), _pack(field)] for key, field in value.items()]}
    if isinstance(value, tuple):
        return {"<tuple>": [_pack(item) for item in value]}
    if isinstance(value, list):
        return [_pack(item) for item in value]
    if isinstance(value, Fraction):
        return {"<fraction>": str(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"cannot pack {type(value).__name__} {value!r}")


def _unpack(value: dict[str, Any]) -> Any:
    if value.keys() == {"<tuple>"}:
        return tuple(value["<tuple>"])
    if value.keys() == {"<items>"}:
        return {key: field for key, field in value["<items>"]}
    if value.keys() == {"<fraction>"}:
        return Fraction(value["<fraction>"])
    return value


@lru_cache(maxsize=1024)
def _require_dataset(dataset: str, config: str) -> None:
    try:
        call("reward_fns.isolation.run_reasoning_gym:dataset", dataset, config, cpu_seconds=60.0)
    except IsolatedCallError as error:
        raise ValueError(f"reasoning-gym cannot make {dataset!r} with the settings {config}: {error}") from error
