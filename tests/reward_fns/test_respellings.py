"""Maths: a gold is right in any spelling of `respellings.py`, and wrong after any change of `changes.py`."""

import pytest
from changes import CHANGES, all_changes
from golds import GOLDS
from respellings import KINDS, all_respellings

from reward_fns import compute_score

RESPELLED, CHANGED = all_respellings(), all_changes()
LEAST_SHARE = 0.98


def accuracy(gold, answer):
    balanced = answer.count("{") == answer.count("}")
    return compute_score("math_train", rf"So \boxed{{{answer}}}" if balanced else f"<answer>{answer}</answer>", gold)[
        "acc"
    ]


def test_there_is_enough_to_judge():
    assert len(KINDS) >= 60 and len(CHANGES) >= 10 and sum(map(len, GOLDS.values())) >= 120
    assert all(RESPELLED.values()) and all(CHANGED.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_respelled_gold_is_right(kind):
    wrong = [pair for pair in RESPELLED[kind] if not accuracy(*pair)]
    assert 1 - len(wrong) / len(RESPELLED[kind]) >= LEAST_SHARE, wrong


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_gold_is_wrong(kind):
    assert [pair for pair in CHANGED[kind] if accuracy(*pair)] == []
