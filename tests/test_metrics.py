"""Names of metrics."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt_grpo_recipe.metrics import task_slugs

HOSTILE = [
    "_",
    "-",
    "/",
    "a/b",
    "a_b",
    "a-b",
    "a b",
    "min",
    "sum",
    "  ",
    "",
    "数独",
    "größe",
    "a-b-2",
    "a.b",
    "\n",
    "__a__",
]


def test_plain_names_stay_as_they_are():
    assert task_slugs(["countdown", "2-zebra", "arc.easy"]) == {
        "countdown": "countdown",
        "2-zebra": "2-zebra",
        "arc.easy": "arc.easy",
    }


def test_names_that_fall_together_get_numbers():
    assert task_slugs(["a/b", "a_b", "a b"]) == {"a/b": "a-b", "a_b": "a-b-2", "a b": "a-b-3"}


def test_a_number_that_is_taken_is_passed_over():
    assert list(task_slugs(["a-b-2", "a/b", "a_b"]).values()) == ["a-b-2", "a-b", "a-b-3"]


@pytest.mark.parametrize("name", ["_", "-", "/", "", "  ", "\n"])
def test_names_of_nothing_but_separators_get_a_word(name):
    assert task_slugs([name]) == {name: "task"}


def test_letters_of_any_language_stay():
    assert task_slugs(["数独", "größe"]) == {"数独": "数独", "größe": "größe"}


@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), unique=True, max_size=12))
def test_slugs_are_distinct_and_safe(tasks):
    slugs = task_slugs(tasks)
    assert list(slugs) == tasks
    assert len(set(slugs.values())) == len(tasks)
    for slug in slugs.values():
        assert re.fullmatch(r"(?:[^\W_]|[.-])+", slug)
