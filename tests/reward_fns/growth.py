"""Whether the time for hostile text grows faster than its length: regular expressions hide work from a count of steps.

    python tests/reward_fns/growth.py

A piece is repeated more and more often, in frames that break a match at its end. What counts is how CPU time grows from
one length to the next: about as the length does. From one short length to the next, work that doubles with every piece
grows a thousandfold, so it is found long before it hangs.
"""

import sys
import time
from itertools import pairwise

from independent import ROWS, helper

from reward_fns import compute_score, known_tasks, maths, rg

LENGTHS = (*range(12, 97, 12), 480, 2_400, 9_600)
NOISE = 0.01  # seconds that a call may take at any length
MARGIN = 2.0
TRIES = 4
FRAMES = ["{}", "{}x", "({}", "```{}x", "`{}x", "A. {}}}", "1{}!"]
PIECES = [*"aA10.,;:-+=*_`'\"(){}[]\\^/%$~ ", "Fe", "Ne", "He1", "11", "a ", ". ", " a", "1 ", ", ", "''", "(a)", "[a]"]
PIECES += [
    r"\text{", r"\text{a}", r"\frac{1}{1}", r"\frac", "^{", "^{1+}", "^2", "_1", "_{1}", "²-", "1+", "+1",
    "A+", " + A", "A-", "->", "=>", r"\to ", " END", "END.", "(a, b)", "(a (b)", "or A", "A. ", "A) ", "/A",
    "1,000", "**a", r"\cdot ", r"10^{1}", r"\mathrm{{a}", "``` ", "_a", r"\%", " - ", r"\begin{a}",
    r"0.\overline{3}", "cm ", "million ",
]  # fmt: skip


def seconds(row, frame, piece, length):
    """CPU time of this thread for one answer of about this many characters."""
    response = "<answer>" + frame.format(piece * (length // len(piece))) + "</answer>"
    begin = time.thread_time()
    compute_score(row[0], response, row[1])
    return time.thread_time() - begin


def grows_too_fast(row, frame, piece):
    """The first length that costs more than its share; None where there is none."""
    spent = dict.fromkeys(LENGTHS, 0.0)
    for shorter, length in pairwise(LENGTHS):
        for _ in range(TRIES):  # one call may be slow because of other work on the machine
            spent[length] = seconds(row, frame, piece, length)
            if spent[length] <= NOISE + MARGIN * spent[shorter] * length / shorter:
                break
        else:
            return length
    return None


def main() -> int:
    known_tasks()
    for module in (maths, rg):
        module.call = helper  # judges in this process, whose time is read
    found = 0
    for number, row in enumerate(ROWS):
        for frame in FRAMES:
            for piece in PIECES:
                if length := grows_too_fast(row, frame, piece):
                    print(f"row {number} ({row[0]}), {frame!r} of {piece!r}: too slow at {length} characters")
                    found += 1
    print(f"{found} of {len(ROWS) * len(FRAMES) * len(PIECES)} texts take more than their share")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
