"""The seventy rules of one-dimensional ARC written again, as functions from an input row to its output row.

Written from what the rules mean; the generator's program makes input and output side by side and has no such functions.
A name ending in "_left" is the mirror image of the one ending in "_right"; the generator's names point either way.
"""

from collections import Counter
from collections.abc import Callable
from itertools import groupby

Row = list[int]
Rule = Callable[[Row], Row]


def runs(row: Row) -> list[tuple[int, int, int]]:
    """(start, length, digit) of every stretch of equal digits other than 0."""
    found, at = [], 0
    for digit, group in groupby(row):
        length = len(list(group))
        if digit:
            found.append((at, length, digit))
        at += length
    return found


def filled(row: Row, start: int, stop: int, digit: int) -> Row:
    """`row` with `digit` at start..stop-1, as far as the row goes."""
    return [digit if start <= at < stop else old for at, old in enumerate(row)]


def span(row: Row) -> tuple[int, int]:
    """First and last place that is not 0."""
    places = [at for at, digit in enumerate(row) if digit]
    return places[0], places[-1]


def turned(steps: int) -> Rule:
    """Everything moves right; what leaves the row comes in again."""
    return lambda row: row[-steps:] + row[:-steps]


def fallen(row: Row) -> Row:
    return [digit for digit in row if digit] + [0] * row.count(0)


def counted(row: Row) -> Row:
    return [1] * (len(row) - row.count(0)) + [0] * row.count(0)


def parted(row: Row) -> Row:
    return [2] * row.count(2) + [0] * row.count(0) + [1] * row.count(1)


def weighed(row: Row) -> Row:
    return [2] * row.count(2) + [1] * row.count(1) + [0] * row.count(0)


def fallen_one_step(row: Row) -> Row:
    """The first gap closes by one."""
    if 0 not in row:
        return row
    gap = row.index(0)
    return row[:gap] + row[gap + 1 :] + [0]


def drawn_to(dot: int, at_most: int | None = None) -> Rule:
    """The block moves until it touches the dot, or by at most `at_most` places."""

    def rule(row: Row) -> Row:
        point = row.index(dot)
        [(start, length, digit)] = [run for run in runs(row) if run[2] != dot]
        gap = point - (start + length) if start < point else start - point - 1
        step = gap if at_most is None else min(gap, at_most)
        start += step if start < point else -step
        return filled(filled([0] * len(row), start, start + length, digit), point, point + 1, dot)

    return rule


def stretched_over_the_dot(row: Row) -> Row:
    first, last = span(row)
    [block] = set(row) - {0, 2}
    return filled(row, first, last + 1, block)


def joined(row: Row) -> Row:
    first, last = span(row)
    return filled(row, first, last + 1, row[first])


def hollowed(row: Row) -> Row:
    first, last = span(row)
    return filled(row, first + 1, last, 0)


def flipped(row: Row) -> Row:
    first, last = span(row)
    return row[:first] + row[first : last + 1][::-1] + row[last + 1 :]


def flipped_around_the_dot(row: Row) -> Row:
    point, new = row.index(2), [0] * len(row)
    for at, digit in enumerate(row):
        if digit:
            new[2 * point - at] = digit
    return new


def without_single_pixels(row: Row) -> Row:
    for start, length, _ in runs(row):
        if length == 1:
            row = filled(row, start, start + 1, 0)
    return row


def in_the_commonest_digit(row: Row) -> Row:
    first, last = span(row)
    return filled(row, first, last + 1, Counter(row[first : last + 1]).most_common(1)[0][0])


def block_around_the_dots(row: Row) -> Row:
    """The block at the start is drawn around every single pixel, in the pixel's digit."""
    (_, size, _), *dots = runs(row)
    for at, _, digit in dots:
        row = filled(row, at - size // 2, at + size // 2 + 1, digit)
    return row


def biggest_in_one(row: Row) -> Row:
    start, length, _ = max(runs(row), key=lambda run: run[1])
    return filled(row, start, start + length, 1)


def blocks_in_order(row: Row) -> Row:
    digit = max(row)
    packed = [cell for _, length, _ in sorted(runs(row), key=lambda run: run[1]) for cell in [digit] * length + [0]]
    return (packed + [0] * len(row))[: len(row)]


def big_one_small_two(row: Row) -> Row:
    small, big = sorted(runs(row), key=lambda run: run[1])
    return filled(filled(row, small[0], small[0] + small[1], 2), big[0], big[0] + big[1], 1)


def moved_by_its_size(row: Row) -> Row:
    return turned(sum(map(bool, row)))(row)


def all_five(row: Row) -> Row:
    return [5 if digit else 0 for digit in row]


def by_the_palette(row: Row) -> Row:
    """The digits at the start, up to the first 0, are the colours of the blocks of 5 in their order."""
    palette = row[: row.index(0)]
    blocks = [(start, length) for start, length, _ in runs(row) if start > len(palette)]
    for (start, length), digit in zip(blocks, palette, strict=True):
        row = filled(row, start, start + length, digit)
    return row


def left_half_eight(row: Row) -> Row:
    for start, length, _ in runs(row):
        row = filled(row, start, start + length // 2, 8)
    return row


def block_repeated_from_its_seeds(row: Row) -> Row:
    """A seed beside the block, one place off, is the first cell of copies of the block up to the edge."""
    [(block, size)] = [(start, length) for start, length, _ in runs(row) if length > 1]
    new = list(row)
    for seed, direction in ((block - 2, -1), (block + size + 1, 1)):
        if 0 <= seed < len(row) and row[seed]:
            for steps in range(len(row)):
                at = seed + direction * steps
                if 0 <= at < len(row) and steps % (size + 1) < size:
                    new[at] = row[seed]
    return new


def seed_fills_its_side(row: Row) -> Row:
    first, last = span(row)
    if row[first] != row[first + 1]:
        return filled(row, 0, first, row[first])
    return filled(row, last + 1, len(row), row[last])


def twos_between_threes(row: Row) -> Row:
    for start, length, _ in runs(row):
        if length == 2:
            row = filled(filled(row, start - 1, start, 3), start + 2, start + 3, 3)
    return row


def pixels_fill_toward_the_five(row: Row) -> Row:
    if row[0] != 5:
        if row[-1] != 5:
            raise ValueError("no five at either end")
        return mirrored(pixels_fill_toward_the_five)(row)
    new, digit = [], 0
    for cell in reversed(row):
        digit = cell or digit
        new.append(digit)
    return new[::-1]


def pattern_to_the_end(row: Row) -> Row:
    period = sum(map(bool, row)) // 2
    return [row[at % period] for at in range(len(row))]


def mirrored(rule: Rule) -> Rule:
    return lambda row: rule(row[::-1])[::-1]


_BOTH_WAYS: dict[str, Rule] = {
    **{
        f"move_{steps}pix_{look}{wrapped}": turned(steps)
        for steps in (1, 2, 3, 4)
        for look in ("solid", "colorful")
        for wrapped in ("", "_wrapped")
    },
    "gravity": fallen,
    "gravity_counting": counted,
    "gravity_antigravity": parted,
    "gravity_one_step": fallen_one_step,
    "gravity_weighted_colors": weighed,
}
RULES: dict[str, Rule] = {
    **{f"{name}_right": rule for name, rule in _BOTH_WAYS.items()},
    **{f"{name}_left": mirrored(rule) for name, rule in _BOTH_WAYS.items()},
    "block_touch_dot": drawn_to(1),
    **{f"block_touch_dot_{steps}pix": drawn_to(2, steps) for steps in (1, 2, 3, 4)},
    "block_scale_to_dot": stretched_over_the_dot,
    "block_and_noise_remove": without_single_pixels,
    "block_and_noise_remove_inside": in_the_commonest_digit,
    "move_block_by_own_size": moved_by_its_size,
    "two_points_and_fill": joined,
    "two_points_and_fill_inv": hollowed,
    "copy_block_to_dots": block_around_the_dots,
    "copy_block_to_dots_colors": block_around_the_dots,
    "repeat_pattern_full": pattern_to_the_end,
    "reflect_block_with_border_pixel": flipped,
    "reflect_block_random": flipped,
    "reflect_block_around_dot": flipped_around_the_dot,
    "paint_biggest_block": biggest_in_one,
    "recolor_blocks_by_size": big_one_small_two,
    "change_to_five": all_five,
    "recolor_blocks_from_palette": by_the_palette,
    "color_left_half_blocks": left_half_eight,
    "sort_blocks_by_size": blocks_in_order,
    "sort_complete_sequence": blocks_in_order,
    "duplicate_block_from_seeds": block_repeated_from_its_seeds,
    "fill_from_pixel": seed_fills_its_side,
    "fill_until_collision": pixels_fill_toward_the_five,
    "mark_size_two_blocks": twos_between_threes,
}
