"""A countdown solver with exact fractions, which shares nothing with the generator.

    solve([8, 73, 96], 31)  ->  "(8-(73-96))"

The last operation of a solution joins two groups of the numbers. Every way to split them and every value of one group
tell what the other group would have to be worth; groups of up to three numbers are tabulated, larger ones are solved in
turn.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

_TABLED = 3
_Group = tuple[int, ...]  # positions in the list of numbers


def solve(numbers: Sequence[int], target: int) -> str | None:
    """Return an expression of all the numbers, each used once, with +, -, *, / that is worth `target`, or None."""
    return _Solver(numbers).reach(tuple(range(len(numbers))), Fraction(target))


class _Solver:
    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._tables: dict[_Group, dict[Fraction, str]] = {}

    def reach(self, group: _Group, target: Fraction) -> str | None:
        """An expression of the group's numbers that is worth `target`."""
        if len(group) <= _TABLED:
            return self._table(group).get(target)
        for small, large in _splits(group):
            for value, text in self._table(small).items():
                if value == target == 0:  # zero times whatever the others make
                    return f"({text}*({'+'.join(str(self._numbers[position]) for position in large)}))"
                for wanted, expression in _completions(value, target):
                    other = self.reach(large, wanted)
                    if other is not None:
                        return expression.format(a=text, b=other)
        return None

    def _table(self, group: _Group) -> dict[Fraction, str]:
        """Every value that the group's numbers can make, with an expression."""
        if group not in self._tables:
            table: dict[Fraction, str] = {}
            if len(group) == 1:
                table[Fraction(self._numbers[group[0]])] = str(self._numbers[group[0]])
            for small, large in _splits(group):
                for a, left in self._table(small).items():
                    for b, right in self._table(large).items():
                        for value, text in _results(a, left, b, right):
                            table.setdefault(value, text)
            self._tables[group] = table
        return self._tables[group]


def _splits(group: _Group) -> Iterator[tuple[_Group, _Group]]:
    """Every way to split the group in two, once or, where the halves are alike, twice; the smaller part first."""
    for size in range(1, len(group) // 2 + 1):
        for part in combinations(group, size):
            yield part, tuple(position for position in group if position not in part)


def _results(a: Fraction, left: str, b: Fraction, right: str) -> Iterator[tuple[Fraction, str]]:
    yield a + b, f"({left}+{right})"
    yield a * b, f"({left}*{right})"
    yield a - b, f"({left}-{right})"
    yield b - a, f"({right}-{left})"
    if b:
        yield a / b, f"({left}/{right})"
    if a:
        yield b / a, f"({right}/{left})"


def _completions(a: Fraction, target: Fraction) -> Iterator[tuple[Fraction, str]]:
    """Values of b for which an operation on a and b gives the target."""
    yield target - a, "({a}+{b})"
    yield a - target, "({a}-{b})"
    yield target + a, "({b}-{a})"
    if a:
        yield target / a, "({a}*{b})"
        yield target * a, "({b}/{a})"
    if a and target:
        yield a / target, "({a}/{b})"
