"""Whatever rows a file holds, reading them yields puzzles or a sentence that names the file, and the row or line."""

import json
import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.check import check, report
from data_prep.public import read_math, read_science

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def mostly(meant, other, one_in):
    """`meant`, but one time in `one_in` `other`."""
    return st.integers(1, one_in).flatmap(lambda number: other if number == one_in else meant)


TEXTS = mostly(
    st.sampled_from(["Which?", "Why?", "Aspirin caused headache", "\\boxed{3}", "{}", "\x00", "Assistant: User:"]),
    st.sampled_from(["", " ", "\ud800"]),
    10,
)
ANSWERS = st.sampled_from(["A", "True", "no", "3", "(aspirin, headache)", "", ".", "END", "\\frac{", "}"])
CHOICES = st.fixed_dictionaries(
    {}, optional={"label": st.lists(ANSWERS | SCALARS, max_size=3), "text": st.lists(ANSWERS | SCALARS, max_size=3)}
)
KINDS = st.sampled_from(["mcq-4-choices", "true_or_false", "filling", "relation_extraction", "open-ended-qa"])


def rows_of(**fields):
    """Rows whose fields are mostly there and well-formed, and sometimes anything."""
    likely = {name: mostly(value, ANYTHING, 25) for name, value in fields.items()}
    row, partial = st.fixed_dictionaries(likely), st.fixed_dictionaries({}, optional=likely)
    return st.lists(mostly(row, partial | ANYTHING, 8), min_size=1, max_size=4)


MATH = rows_of(problem=TEXTS, answer=ANSWERS, solution=TEXTS)
SCIENCE = rows_of(
    prompt=st.fixed_dictionaries({"default": TEXTS}),
    question=TEXTS,
    answer=ANSWERS,
    answerKey=ANSWERS,
    choices=CHOICES,
    type=KINDS,
    domain=st.just("Biology"),
)


def read_lines(read, rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        try:
            found, tally = read(str(path))
        except ValueError as error:
            nothing_left = f"{path} has no question of"
            assert re.match(rf"({re.escape(str(path))}, line \d)|{re.escape(nothing_left)}", str(error)), str(error)
        else:
            usable = sum(len(puzzles) for splits in found.values() for puzzles in splits.values())
            assert usable == sum(tally.usable.values()) > 0
            assert usable + sum(tally.left_out.values()) <= len(rows)


@given(MATH)
@settings(max_examples=300, deadline=None)
def test_any_lines_as_math(rows):
    read_lines(lambda path: read_math(path, 9, 0, 0), rows)


@given(SCIENCE)
@settings(max_examples=300, deadline=None)
def test_any_lines_as_science(rows):
    read_lines(lambda path: read_science(path, ["biology"], 9, 0, 0), rows)


def columns_of(size):
    """A value of one type per column and row, since a parquet column has one type; any may be missing."""
    one_type = st.sampled_from(
        [
            st.text(max_size=6),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(),
            st.booleans(),
            st.binary(max_size=4),
            st.dates(),
            st.lists(st.text(max_size=4), max_size=2),
            st.fixed_dictionaries({"target": st.text(max_size=4)}),
        ]
    )
    message = st.fixed_dictionaries({"role": st.sampled_from(["user", "user", "user", "x"]), "content": TEXTS})
    sources = st.just(
        st.sampled_from(["math_train", "zebra", "arc", "countdown-easy", "sciknoweval", "rg:chain_sum", ""])
    )
    prompts = st.just(st.lists(message, min_size=1, max_size=2))
    truths = st.builds(
        lambda inner: st.fixed_dictionaries({"ground_truth": inner}),
        one_type
        | st.just(st.fixed_dictionaries({"target": ANSWERS | st.none(), "numbers": ANSWERS | st.none(), "type": KINDS}))
        | st.just(st.fixed_dictionaries({"target": st.lists(ANSWERS, max_size=2), "type": KINDS}))
        | st.just(st.sampled_from(['{"target": "3", "numbers": [1, 2]}', '{"target": [', "{}", "[" * 5000])),
    )
    likely = {"data_source": sources, "prompt": prompts, "reward_model": truths}
    columns = {
        name: mostly(meant, one_type, 8).flatmap(
            lambda values: st.lists(mostly(values, st.none(), 10), min_size=size, max_size=size)
        )
        for name, meant in {**likely, "extra_info": one_type}.items()
    }
    return st.fixed_dictionaries(
        {name: columns[name] for name in likely}, optional={"extra_info": columns["extra_info"]}
    )


@given(st.integers(0, 4).flatmap(columns_of))
@settings(max_examples=300, deadline=None)
def test_any_parquet_is_checked_to_the_end(columns):
    try:
        table = pa.table(columns)
    except (pa.ArrowException, UnicodeEncodeError):
        return  # no file can hold this
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(table, path)
        [file] = check([path])
        assert str(path) in report(file)
        assert sum(file.rows.values()) == table.num_rows
        assert not any(fault.kind in ("columns", "file") for fault in file.faults)
