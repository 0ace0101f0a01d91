r"""Whether two mathematical answers, as `notation.read` returns them, are the same: part by part.

Lists, sets and unions are compared in any order; tuples, intervals and matrices in their own, with their brackets. A
name before a bare value ("x = 3", "(x, y) = (1, 2)", "x \in [2, 5)") may be there or not; two different names never
agree. Where a number is asked, how to compute it is no answer. Whether two values are equal, and whether two equations
say the same, is for the given function to decide.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from reward_fns.scoring.notation import Group, Node, Statement
from reward_fns.scoring.values import Value, same_number, unevaluated, units_agree

Judge = Callable[[str, str], bool]
"""Whether two LaTeX expressions, or two statements, are worth the same: truth first."""

_ANY_ORDER = ("list", "set", "union")
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|chi|psi|omega|ell|Gamma|Delta|"
    "Theta|Lambda|Sigma|Phi|Psi|Omega"
)
_NAME = re.compile(
    rf"(?:\\(?:vec|overline|bar|hat|tilde)\s?\{{?)?(?:m?\\angle\s?)?(?:[A-Za-z]+|\\(?:{_GREEK}))\}}?'*"
    r"(?:_(?:\{[^{}]*\}|\w))?(?:\^\{-1\})?(?:\([^()]*\))?|\|[A-Za-z]+\|"
)
_NO_LETTER = re.compile(rf"\\(?!(?:{_GREEK})(?![A-Za-z]))[A-Za-z]+|(?<![A-Za-z])[ei](?![A-Za-z])")
_HOLDS_LETTER = re.compile(r"[^\W\d_]")
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "~": "~", "!=": "!="}


def same(truth: Node, answer: Node, judge: Judge) -> bool:
    """Whether the answer is the truth."""
    if isinstance(truth, Statement) and isinstance(answer, Statement):
        return _same_statements(truth, answer, judge)
    if isinstance(answer, Statement):
        value = _interval(answer) if isinstance(truth, Group) and _is_range(truth) else None
        return any(same(truth, part, judge) for part in [value] if part) or (
            bool(_values(answer)) and all(same(truth, part, judge) for part in _values(answer))
        )
    if isinstance(truth, Statement):
        value = _interval(truth) if isinstance(answer, Group) and _is_range(answer) else _plainly_named(truth)
        return value is not None and same(value, answer, judge)
    if isinstance(truth, Group) or isinstance(answer, Group):
        return _same_groups(truth, answer, judge)
    return _same_values(truth, answer, judge)


def _same_values(truth: Value, answer: Value, judge: Judge) -> bool:
    if not units_agree(truth, answer):
        return False
    if truth.base or answer.base:
        bases = {truth.base, answer.base} - {""}
        return len(bases) == 1 and truth.text.upper().lstrip("0") == answer.text.upper().lstrip("0")
    if truth.text == answer.text:
        return True
    if truth.words:
        return answer.words and truth.text == answer.text
    if truth.number is not None and answer.number is not None:
        return same_number(truth, answer)
    if truth.number is not None and unevaluated(answer):
        return False
    return judge(truth.text, answer.text)


def _same_groups(truth: Node, answer: Node, judge: Judge) -> bool:
    if not (isinstance(truth, Group) and isinstance(answer, Group)):
        return False
    if truth.kind in _ANY_ORDER and answer.kind in _ANY_ORDER:
        if "union" in (truth.kind, answer.kind) and "set" in (truth.kind, answer.kind):
            return False
        return _same_in_any_order(list(_flat(truth)), list(_flat(answer)), judge)
    in_order = truth.kind == answer.kind or (truth.kind == "list" and answer.kind == "()")
    return in_order and _same_in_order(truth.items, answer.items, judge)


def _same_in_order(truths: Sequence[Node], answers: Sequence[Node], judge: Judge) -> bool:
    return len(truths) == len(answers) and all(same(*pair, judge) for pair in zip(truths, answers, strict=True))


def _same_in_any_order(truths: list[Node], answers: list[Node], judge: Judge) -> bool:
    if len(truths) != len(answers):
        return False
    if len(_names(answers)) > 1 and len(_names(truths)) <= 1:
        return _same_in_order(truths, answers, judge)  # x = 1, y = 2 for 1, 2
    rest = list(answers)
    for truth in truths:
        at = next((i for i, answer in enumerate(rest) if same(truth, answer, judge)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _names(nodes: Sequence[Node]) -> set[str]:
    return {
        node.text.split("=")[0].strip() for node in nodes if isinstance(node, Statement) and node.relations == ("=",)
    }


def _flat(group: Group) -> Iterator[Node]:
    for item in group.items:
        if isinstance(item, Group) and item.kind in ("list", "union"):
            yield from _flat(item)
        else:
            yield item


def _same_statements(truth: Statement, answer: Statement, judge: Judge) -> bool:
    if _same_sides(truth, answer, judge):
        return True
    ranges = _interval(truth), _interval(answer)
    if ranges[0] and ranges[1] and _subject(truth) == _subject(answer):
        return same(ranges[0], ranges[1], judge)
    if truth.relations == answer.relations == ("=",):
        value, other = _plainly_named(truth), _plainly_named(answer)
        if value and other and not _letters(value) and not _letters(other):
            return truth.sides[0] == answer.sides[0] and same(value, other, judge)
    return judge(truth.text, answer.text)


def _same_sides(truth: Statement, answer: Statement, judge: Judge) -> bool:
    if truth.relations == answer.relations and _same_in_order(truth.sides, answer.sides, judge):
        return True
    flipped = tuple(_FLIPPED.get(relation, "") for relation in reversed(answer.relations))
    return truth.relations == flipped and _same_in_order(truth.sides, answer.sides[::-1], judge)


def _values(statement: Statement) -> list[Node]:
    """The values that an answer gives to what it names; none for a statement such as 2 + 2 = 3 or x < 3."""
    if set(statement.relations) not in ({"="}, {"in"}):
        return []
    first, *others = statement.sides
    if _letters(first):
        return others
    return [first] if len(others) == 1 and _is_name(others[0]) else []


def _plainly_named(statement: Statement) -> Node | None:
    """The value of a truth such as "x = 3" or "f(x) = 2x": what follows a name that does not recur in it."""
    if statement.relations not in (("=",), ("in",)):
        return None
    name, value = statement.sides
    if not _is_name(name) and _is_name(value):
        name, value = value, name
    known = _letters(name)
    plain = _is_name(name) or isinstance(name, Group)
    return value if plain and known and not (isinstance(name, Value) and name.text in _texts(value)) else None


def _interval(statement: Statement) -> Group | None:
    r"""The range of `x > 3`, `2 \le x < 5` or `x \in [2, 5)` as the brackets it would be written in."""
    sides, relations = statement.sides, statement.relations
    if relations == ("in",):
        return sides[1] if isinstance(sides[1], Group) else None
    if relations == ("!=",):
        return _all_but(sides[1]) if _letters(sides[0]) and not _letters(sides[1]) else None
    if relations and relations[0] in (">", ">="):
        sides, relations = sides[::-1], tuple(_FLIPPED.get(relation, "") for relation in reversed(relations))
    if not relations or not set(relations) <= {"<", "<="}:
        return None
    if len(sides) == 2:
        if _letters(sides[0]) and not _letters(sides[1]):
            return Group("(" + _bracket(relations[0], "])"), (Value(r"-\infty"), sides[1]))
        if _letters(sides[1]) and not _letters(sides[0]):
            return Group(_bracket(relations[0], "[(") + ")", (sides[0], Value(r"\infty")))
    if len(sides) == 3 and _letters(sides[1]):
        return Group(_bracket(relations[0], "[(") + _bracket(relations[1], "])"), (sides[0], sides[2]))
    return None


def _all_but(value: Node) -> Group:
    below, above = Group("()", (Value(r"-\infty"), value)), Group("()", (value, Value(r"\infty")))
    return Group("union", (below, above))


def _bracket(relation: str, both: str) -> str:
    return both[0] if relation == "<=" else both[1]


def _subject(statement: Statement) -> str:
    """What an inequality is about."""
    return next((text for side in statement.sides for text in _texts(side) if _letters(side)), "")


def _is_range(group: Group) -> bool:
    return group.kind in ("()", "[]", "(]", "[)", "union")


def _is_name(node: Node) -> bool:
    """A letter, with a subscript or arguments, a word, or a letter in a command: x_1, f(x), Area, \\theta, \\vec{v}."""
    return isinstance(node, Value) and (node.words or _NAME.fullmatch(node.text) is not None)


def _letters(node: Node) -> bool:
    return any(_HOLDS_LETTER.search(_NO_LETTER.sub("", text)) for text in _texts(node))


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, Value):
        yield node.text
    else:
        for part in node.items if isinstance(node, Group) else node.sides:
            yield from _texts(part)
