"""Data sets of reasoning-gym by their own scorers: entries survive storage, and answers run no code."""

import inspect
import json
import re
from fractions import Fraction

import pytest
import reasoning_gym
from reasoning_gym.factory import DATASETS

from reward_fns import compute_score
from reward_fns.rg import PARSED_AS_EXPRESSIONS, PARSED_AS_LISTS, is_safe, pack_entry, unpack_entry

pytestmark = pytest.mark.slow


def row(dataset, **settings):
    entry = reasoning_gym.create_dataset(dataset, size=1, seed=1, **settings)[0]
    return entry, {"target": entry["answer"], "entry": pack_entry(entry)}


@pytest.mark.parametrize("dataset", ["leg_counting", "countdown", "arc_agi", "n_queens", "simple_integration"])
def test_a_gold_answer_is_correct_and_another_is_not(dataset):
    entry, truth = row(dataset)
    data_source = f"rg:{dataset}-train"
    assert compute_score(data_source, f"<answer>{entry['answer']}</answer>", truth)["score"] == 1.0
    assert compute_score(data_source, r"\boxed{no idea}", truth)["score"] == 0.1
    assert compute_score(data_source, "no idea", truth)["score"] == 0.0


@pytest.mark.parametrize("dataset", sorted(PARSED_AS_EXPRESSIONS | PARSED_AS_LISTS))
def test_the_harmless_alphabet_holds_every_gold_answer(dataset):
    entries = reasoning_gym.create_dataset(dataset, size=60, seed=11)
    assert [entry["answer"] for entry in entries if not is_safe(dataset, entry["answer"])] == []


def test_the_entry_may_stand_in_extra_info_and_settings_are_used():
    entry, truth = row("decimal_arithmetic", min_num_decimal_places=1, max_num_decimal_places=1, precision=3)
    info = {"entry": truth.pop("entry")}
    truth["config"] = json.dumps({"min_num_decimal_places": 1, "max_num_decimal_places": 1, "precision": 3})
    assert compute_score("rg:decimal_arithmetic", f"<answer>{entry['answer']}</answer>", truth, info)["acc"] == 1.0


@pytest.mark.parametrize(
    "value", [{}, {"a": (1, (2, [3.5, None]))}, {"a": {1: "x", (2, 3): True}}, {"<tuple>": 1}, [Fraction(1, 3)]]
)
def test_packing_loses_nothing(value):
    assert repr(unpack_entry(pack_entry(value))) == repr(value)


def test_what_cannot_be_packed_is_named():
    with pytest.raises(TypeError, match="cannot pack set"):
        pack_entry({"a": {1}})


@pytest.mark.parametrize(
    ("data_source", "truth", "message"),
    [
        ("rg", {}, "must name a data set"),
        ("rg:leg_counting", {"target": "4"}, "the field 'entry'"),
        ("rg:leg_counting", {"target": "4", "entry": "4"}, "the field 'entry'"),
        ("rg:no_such_set", {"entry": "{}"}, "cannot make 'no_such_set'"),
        ("rg:leg_counting", {"entry": "{}", "config": '{"no_such_setting": 1}'}, "cannot make 'leg_counting'"),
    ],
)
def test_a_bad_row_is_a_fault_of_the_data(data_source, truth, message):
    with pytest.raises(ValueError, match=message):
        compute_score(data_source, "", truth)


def test_every_scorer_that_evaluates_its_answer_is_listed():
    """Fails when another release of reasoning-gym evaluates answers where this one does not."""
    evaluating = {
        name
        for name, (dataset, _) in DATASETS.items()
        if re.search(r"parse_expr\(|sympify\(|(?<!literal_)\beval\(|\bexec\(", inspect.getsource(dataset.score_answer))
    }
    assert evaluating == PARSED_AS_EXPRESSIONS | (PARSED_AS_LISTS & evaluating)


@pytest.mark.parametrize("dataset", sorted(PARSED_AS_EXPRESSIONS | PARSED_AS_LISTS))
def test_an_answer_runs_no_code(dataset, tmp_path):
    _, truth = row(dataset)
    target = tmp_path / "pwned"
    calls = [f"open('{target}','w')", f"__import__('os').system('touch {target}')", f"[open('{target}','w')]"]
    dodges = [f'S(\'open("{target}","w")\')', f"\uff4fpen('{target}','w')", f"().__class__; open('{target}','w')"]
    for answer in [*calls, *dodges]:
        assert compute_score(f"rg:{dataset}", f"<answer>{answer}</answer>", truth)["acc"] == 0.0
    assert not target.exists()


def test_an_answer_without_end_is_wrong_in_the_end(monkeypatch):
    monkeypatch.setattr("reward_fns.rg.CPU_SECONDS", 1.0)
    _, truth = row("countdown")
    assert compute_score("rg:countdown", r"\boxed{9**9**9**9}", truth)["acc"] == 0.0
