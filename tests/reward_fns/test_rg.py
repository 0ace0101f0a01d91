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


def judged(dataset, answer, truth):
    return compute_score(f"rg:{dataset}", f"<answer>{answer}</answer>", truth)["acc"]


CONSTANTS = [
    "0",
    "1",
    "nan",
    "NaN",
    "n a n",
    "NaN + nani",
    "inf",
    "-Infinity",
    "1e999",
    "1/0",
    "none",
    "[]",
    "x",
    "6*4*1*1",
]
REFUSED = [
    "coin_flip",
    "complex_arithmetic",
    "decimal_arithmetic",
    "game_of_life_halting",
    "intermediate_integration",
    "number_sorting",
    "puzzle24",
    "simple_integration",
]


@pytest.mark.parametrize("dataset", REFUSED)
def test_what_solves_nothing_is_wrong(dataset):
    for entry in reasoning_gym.create_dataset(dataset, size=3, seed=5):
        truth = {"target": entry["answer"], "entry": pack_entry(entry)}
        length = entry["answer"].count(",") + 1
        integrand = entry["metadata"].get("integrand", "x")
        variable = entry["metadata"].get("variable", "x")
        answers = [*CONSTANTS, f"[{', '.join(['NaN'] * length)}]", f"Integral({integrand}, {variable}) + C"]
        assert [answer for answer in answers if judged(dataset, answer, truth)] == []
        assert judged(dataset, entry["answer"], truth) == 1.0


def test_a_word_that_reads_as_no_number_is_right_where_it_is_the_answer():
    entry = {"question": "Spell it backward: nan", "answer": "nan", "metadata": {"word": "nan"}}
    assert judged("spell_backward", "nan", {"entry": pack_entry(entry)}) == 1.0
    assert judged("spell_backward", "naan", {"entry": pack_entry(entry)}) == 0.0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("6/(1-3/4)", 1.0),
        (r"\frac{6}{1 - \frac{3}{4}}", 1.0),
        ("6*4*1*1", 0.0),  # other numbers
        ("6*4", 0.0),
        ("6*4*(3-1)", 0.0),  # 48
        ("6*4+1/3", 0.0),  # 24 when it is cut off
        ("6*4+0*1*3", 0.0),
    ],
)
def test_puzzle_24_is_solved_with_its_numbers_exactly(answer, right):
    entry = {"question": "?", "answer": "6/(1 - 3/4)", "metadata": {"numbers": [1, 3, 4, 6]}}
    assert judged("puzzle24", answer, {"entry": pack_entry(entry)}) == right


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("0.003173828125", "13/4096", 1.0),
        ("0.003173828125", r"\frac{13}{4096}", 1.0),
        ("0.003173828125", "0.00317", 1.0),
        ("0.003173828125", "0.0031", 0.0),  # 2 % off
        ("0.003173828125", "0.003 wrong", 0.0),
        ("0.65625", "0.6562", 1.0),
        ("0.65625", "0.655", 0.0),
        ("0.65625", "0", 0.0),
        ("0.65625", "0.65625" + "0" * 5000, 0.0),
        ("0.000030517578125", "0", 0.0),
        ("0.000030517578125", "1/32768", 1.0),
    ],
)
def test_a_probability_is_right_to_a_hundredth_of_it(gold, answer, right):
    entry = {"question": "?", "answer": gold, "metadata": {}}
    assert judged("coin_flip", answer, {"entry": pack_entry(entry)}) == right


@pytest.mark.parametrize(("dataset", "wrong"), [("syllogism", "Maybe"), ("leg_counting", "7")])
def test_typesetting_does_not_matter(dataset, wrong):
    entry, truth = row(dataset)
    for frame in (
        r"\boxed{\text{%s}}",
        r"\boxed{%s.}",
        r"\boxed{$%s$}",
        r"\boxed{\textbf{%s}}",
        "<answer>**%s**</answer>",
    ):
        assert compute_score(f"rg:{dataset}", frame % entry["answer"], truth)["score"] == 1.0
        assert compute_score(f"rg:{dataset}", frame % wrong, truth)["score"] == 0.1


def test_a_scorer_that_fails_on_one_spelling_still_gets_the_other(monkeypatch):
    from reward_fns.isolation import run_reasoning_gym

    class Picky:
        def score_answer(self, answer, entry):
            return {"1": 1.0}[answer]

    monkeypatch.setattr(run_reasoning_gym, "_dataset", lambda name, config: Picky())
    assert run_reasoning_gym.best_score("picky", "{}", "{}", ["$1$", "1"]) == 1.0
    with pytest.raises(KeyError):
        run_reasoning_gym.best_score("picky", "{}", "{}", ["$2$", "2"])
