"""Tasks of rows, the rows that are kept, and the digest that reveals changed data."""

import copy
import datetime
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.data_rows import contents, drawn_rows, task_names

KEY = ["extra_info.task"]


def rows():
    return [
        {"data_source": "chess", "extra_info": {"task": task, "index": i}, "prompt": [{"content": "x"}]}
        for i, task in enumerate(["a", "b", "a"])
    ]


def test_a_row_without_a_task_is_named_with_its_file_and_what_it_has():
    faulty = rows()
    del faulty[1]["extra_info"]["task"]
    faulty[2]["extra_info"] = None
    with pytest.raises(ConfigError) as error:
        task_names(faulty, KEY, "test.parquet")
    assert str(error.value).startswith("test.parquet: 2 of 3 rows name no task; the first is row 1, counted from 0. ")
    assert "has no 'task' there; it has ['index']" in str(error.value)


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.integers(-1, 40), st.integers(0, 3))
def test_drawn_rows_keep_every_task_near_its_share(names, count, seed):
    sizes = Counter(names)
    if 0 < count < min(len(sizes), len(names)):
        with pytest.raises(ConfigError, match="cannot hold all"):
            drawn_rows(names, count, seed)
        return
    kept = drawn_rows(names, count, seed)
    assert kept == sorted(set(kept)) and kept == drawn_rows(names, count, seed)
    assert len(kept) == (count if 0 < count < len(names) else len(names))
    got = Counter(names[row] for row in kept)
    assert got.keys() == sizes.keys()
    for task, size in sizes.items():
        exact = size * len(kept) / len(names)
        # A task that would have got nothing has one row, taken from the largest.
        assert -len(sizes) < got[task] - exact <= 1


def test_a_row_without_a_data_source_is_named():
    faulty = rows()
    del faulty[2]["data_source"]
    with pytest.raises(ConfigError, match=r"data\.val_files: 1 of 3 rows have no data_source.*the first is row 2"):
        contents(faulty, KEY, "data.val_files")


@pytest.mark.parametrize("value", [["chess"], {"name": "chess"}, 7, True, b"chess"])
def test_a_data_source_that_is_not_text_is_named_with_its_file_column_and_value(value):
    faulty = rows()
    faulty[1]["data_source"] = value
    with pytest.raises(ConfigError) as error:
        contents(faulty, KEY, "train.parquet")
    assert str(error.value) == (
        "train.parquet: 1 of 3 rows have a data_source that is not text; the first is row 1, counted from 0: "
        f"{value!r}, of type {type(value).__name__}. Write the name of a reward function into that column."
    )
    assert contents(faulty, KEY, "train.parquet", used=["a"]).data_sources == {"chess"}


def test_an_empty_data_source_is_kept_for_the_reward_function_to_judge():
    faulty = rows()
    faulty[1]["data_source"] = ""
    assert contents(faulty, KEY, "f").data_sources == {"chess", ""}


def test_the_digest_of_a_task_changes_with_its_content_and_its_order_and_with_nothing_else():
    def digests(change=lambda given: None):
        given = copy.deepcopy(rows())
        change(given)
        return contents(given, KEY, "f").digest_of

    before = digests()
    assert before == digests() and before.keys() == {"a", "b"} and before["a"] != before["b"]
    assert digests(lambda given: given[1]["prompt"][0].update(content="y")) == before | {
        "b": digests(lambda given: given[1]["prompt"][0].update(content="y"))["b"]
    }
    assert digests(lambda given: given[1]["prompt"][0].update(content="y"))["b"] != before["b"]
    assert digests(lambda given: given.reverse())["a"] != before["a"]
    # The order of rows between tasks means nothing: each task is drawn from separately.
    assert digests(lambda given: given.sort(key=lambda row: row["extra_info"]["task"])) == before
    assert (
        digests(lambda given: given[0].update(level=1))["a"] != digests(lambda given: given[0].update(level=1.0))["a"]
    )


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (b"image", b"images"),
        (np.array([1, 2]), np.array([1, 3])),
        (np.float32(0.5), np.float32(0.25)),
        (torch.tensor([1]), torch.tensor([2])),
        (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
    ],
)
def test_values_that_json_does_not_hold_count_by_their_content(value, other):
    first, again, second = (
        contents([rows()[0] | {"value": given}], KEY, "f").digest_of for given in (value, copy.copy(value), other)
    )
    assert first == again != second


def test_an_object_counts_by_its_type_alone():
    first, second = (contents([rows()[0] | {"value": object()}], KEY, "f").digest_of for _ in range(2))
    assert first == second
