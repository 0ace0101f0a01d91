"""Checks that raise: what counts, what is logged, and how often."""

import logging
import sys
from collections import Counter

import pytest

from reward_fns import compute_score, known_tasks, register, registry, scoring

WRONG = {"score": 0.1, "acc": 0.0, "format": 1.0}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(registry, "_tasks", dict(known_tasks()))
    monkeypatch.setattr(scoring.compute_score, "_failures", Counter())


def logged(caplog, data_source, count):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for number in range(count):
            assert compute_score(data_source, rf"\boxed{{{number}}}", "t") == WRONG
    return caplog.records


def test_a_check_that_always_raises_logs_one_traceback_and_then_counts(caplog):
    @register("faulty")
    def faulty(answer, truth, **context):
        raise KeyError("oops")

    first, *others = logged(caplog, "faulty", 1000)
    assert first.exc_info and "oops" in caplog.text
    assert [record.exc_info for record in others] == [None] * 3
    for record, count in zip(others, (10, 100, 1000), strict=True):
        said = record.getMessage()
        assert f"failed {count} times in this process on data_source 'faulty', each counted as wrong: KeyError" in said
        assert f"{__file__}:" in said and f"last on the answer '{count - 1}'" in said
    assert len(logged(caplog, "faulty", 9)) == 0
    assert len(logged(caplog, "faulty-other", 9)) == 1


def test_each_kind_of_failure_shows_its_own_traceback(caplog):
    @register("fickle")
    def fickle(answer, truth, **context):
        if answer == "0":
            raise ValueError("first")
        if answer == "1":
            raise ValueError("second")
        return int("three") == 3 if answer == "2" else [][0]

    assert [record.exc_info[0] for record in logged(caplog, "fickle", 9)] == [
        ValueError,
        ValueError,
        ValueError,
        IndexError,
    ]


def test_failures_in_generated_code_are_of_one_kind(caplog):
    @register("generating")
    def generating(answer, truth, **context):
        exec(compile("1 / 0", f"<generated-{answer}>", "exec"))

    assert [bool(record.exc_info) for record in logged(caplog, "generating", 12)] == [True, False]


@pytest.mark.parametrize("leave", [sys.exit, lambda: sys.exit(0), lambda: sys.exit("bye")])
def test_a_check_that_exits_is_logged_and_counts_as_wrong(caplog, leave):
    register("leaving")(lambda answer, truth, **context: leave())
    (record,) = logged(caplog, "leaving", 1)
    assert record.exc_info[0] is SystemExit and "counted as wrong" in record.getMessage()


def test_a_truth_function_that_exits_is_a_fault_of_the_data():
    register("truthless", truth=lambda fields, **context: sys.exit())(lambda answer, truth, **context: True)
    with pytest.raises(ValueError, match="data_source 'truthless': bad ground_truth"):
        compute_score("truthless", r"\boxed{1}", "t")


def test_ctrl_c_in_a_check_gets_through():
    @register("slow")
    def slow(answer, truth, **context):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_score("slow", r"\boxed{1}", "t")
