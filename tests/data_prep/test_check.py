"""`--check` names every kind of fault and its row, and finds none in sound files."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.check import check, report
from data_prep.gold import golds
from data_prep.prepare import Contents, prepare
from reward_fns import registry
from reward_fns.registry import task_for


def message(text, role="user"):
    return [{"role": role, "content": text}]


def row(data_source="zebra-easy-train", prompt=None, truth=None, **info):
    truth = {"target": "carol"} if truth is None else truth
    prompt = message("Who?") if prompt is None else prompt
    return {
        "data_source": data_source,
        "prompt": prompt,
        "reward_model": {"ground_truth": truth},
        "extra_info": {"index": 0, "task": "some", **info},
    }


def written(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def faults(tmp_path, *rows):
    [file] = check([written(tmp_path / "rows.parquet", list(rows))])
    return [(fault.kind, fault.row) for fault in file.faults]


def test_our_own_files_are_right(tmp_path):
    wanted = {"countdown-easy": 20, "arc-easy": 20, "zebra-mini": 10, "rg:leg_counting": 5}
    paths = prepare(Contents(wanted, test=4, prompts="chat"), tmp_path).paths
    for file in check(paths.values()):
        assert file.faults == [] and not file.without_gold
    assert check([paths["test"]])[0].rows["rg:leg_counting-test"] == 4


def test_the_released_schema_is_right(tmp_path):
    """A string of numbers and an int, an array of messages, mathematics as a bare string; no field `task`."""
    frame = "A conversation.\nUser: {}\nAssistant: I will"
    countdown = row(
        "countdown-medium-train", message(frame.format("[1, 1, 89, 40]: 50")), {"numbers": "1,1,89,40", "target": 50}
    )
    zebra = row("zebra-medium-test", message(frame.format("Who?")), {"target": "carol"}, difficulty=2)
    maths = [row(name, message(f"{name}?"), r"\frac{1}{2}") for name in ("math_train", "test_math", "test_aime")]
    for entry in (countdown, zebra, *maths):
        del entry["extra_info"]["task"]
        entry["extra_info"]["type"] = "a"
    for number, rows in enumerate([[countdown], [zebra], maths]):
        [file] = check([written(tmp_path / f"{number}.parquet", rows)])
        assert file.faults == [] and sum(file.rows.values()) == len(rows)


def test_science_questions_are_right(tmp_path):
    rows = [
        row("sciknoweval-biology", message("1"), {"target": "B", "type": "mcq-4-choices"}),
        row("sciknoweval-physics", message("2"), {"target": "False", "type": "true_or_false"}),
    ]
    assert faults(tmp_path, *rows) == []


def test_missing_columns_are_named(tmp_path):
    path = written(tmp_path / "bare.parquet", [{"question": "?", "prompt": message("?")}])
    [fault] = check([path])[0].faults
    assert (fault.kind, fault.row) == ("columns", None)
    assert "no data_source, reward_model; there are question, prompt" in fault.reason


@pytest.mark.parametrize(
    "prompt",
    ["Who?", [], ["Who?"], [{"content": "Who?"}], message("  "), message("Who?", "boss"), message("Me!", "assistant")],
)
def test_a_prompt_must_be_messages_that_end_with_the_user(tmp_path, prompt):
    assert faults(tmp_path, row(prompt=prompt)) == [("prompt", 0)]


@pytest.mark.parametrize(
    ("data_source", "truth", "kind"),
    [
        ("sudoku-train", {"target": "1"}, "data_source"),
        (None, {"target": "1"}, "data_source"),
        ("countdown-train", {"target": 3}, "ground truth"),
        ("countdown-train", {"numbers": "1,x", "target": 3}, "ground truth"),
        ("arc-train", {"target": "0, 1"}, "ground truth"),
        ("sciknoweval", {"target": "B", "type": "open-ended-qa"}, "ground truth"),
        ("countdown-train", {"numbers": "1,1,1", "target": 99}, "no solution"),
        ("zebra-train", {"target": "a}b"}, "gold answer"),
        ("math_train", {"target": r"\frac{1}{2"}, "gold answer"),
        ("math_train", {"target": r"???\frac"}, "unread gold"),
        ("math_train", {"target": float("nan")}, "blank gold"),
        ("math_train", {"target": " "}, "blank gold"),
        ("math_train", {"target": None, "numbers": "1"}, "blank gold"),
        ("sciknoweval", {"target": float("nan"), "type": "filling"}, "blank gold"),
        ("sciknoweval", {"target": ["NaCl", ""], "type": "filling"}, "blank gold"),
        ("countdown", {"numbers": "1", "target": None}, "blank gold"),
        ("math_train", {"target": ["1", "2"]}, "ground truth"),
        ("math_train", {"target": "['34']"}, "ground truth"),
        ("zebra-train", {"target": '["carol"]'}, "ground truth"),
    ],
)
def test_each_kind_of_fault_is_found(tmp_path, data_source, truth, kind):
    good = row(prompt=message("Another?"))
    assert faults(tmp_path, row(data_source, None, truth)) == [(kind, 0)]
    assert faults(tmp_path, {**good, "reward_model": {"ground_truth": {"target": "bob"}}}) == []


@pytest.mark.parametrize(
    ("data_source", "truth"),
    [
        ("math_train", r"\frac{1}{2}"),
        ("math_train", "$-3$"),
        ("math_train", "43_5"),
        ("math_train", "x=5"),
        ("math_train", r"\text{Evelyn}"),
        ("math_train", {"target": 2.5}),
        ("zebra", "carol"),
        ("arc", "0 0 9"),
        ("sciknoweval", {"target": "(B)", "type": "mcq-4-choices"}),
        ("sciknoweval", {"target": "No", "type": "true_or_false"}),
        ("sciknoweval", {"target": "table salt", "type": "filling"}),
        ("sciknoweval", {"target": "Mg + 2HCl = MgCl2 + H2", "type": "filling"}),
        ("sciknoweval", {"target": ["NaCl", "table salt"], "type": "filling"}),
        ("sciknoweval", {"target": '["NaCl", "table salt"]', "type": "filling"}),
        ("sciknoweval", {"target": "yes"}),
        ("sciknoweval", {"target": "(B)"}),
        ("math_train", {"target": 5e-05}),
        ("sciknoweval", {"target": "(1, 2), (3, 4)", "type": "filling"}),
        ("sciknoweval", {"target": "[[a, b], [c, d]]", "type": "relation_extraction"}),
    ],
)
def test_a_gold_that_the_judge_reads_is_right_in_another_spelling_too(tmp_path, data_source, truth):
    assert faults(tmp_path, row(data_source, None, truth)) == []
    for gold in golds(task_for(data_source), truth):
        assert gold.respelled != gold.response


def test_the_gold_respelled_is_the_same_answer():
    def respelled(data_source, *truth):
        return [gold.respelled for gold in golds(task_for(data_source), *truth)]

    assert respelled("zebra", "carol") == [r"\boxed{CAROL}"]
    assert respelled("arc", "0 0 9") == [None]
    assert respelled("math", "y = 2x") == [r"\boxed{$y =\displaystyle  2x$}"]
    assert respelled("rg:syllogism", {"target": "Yes"}) == [r"<answer>\text{Yes}.</answer>"]
    assert respelled("rg:spiral_matrix", {"target": "1 2 3"}) == [None]
    pairs = {"target": "(a,b), (c,d)", "type": "relation_extraction"}
    assert respelled("sciknoweval", pairs) == [r"\boxed{(c, d), (a, b)}"]
    accepted = {"target": ["NaCl", "table salt"], "type": "filling"}
    assert respelled("sciknoweval", accepted) == [r"\boxed{\text{NaCl}}", r"\boxed{\text{table  salt}}"]


def test_a_truth_that_is_not_there_is_a_fault(tmp_path):
    assert faults(tmp_path, {**row(), "reward_model": {"style": "rule"}}) == [("ground truth", 0)]


def test_a_question_may_occur_once_in_all_files_however_it_is_worded(tmp_path):
    clues = ["1. Bob is the cat lover.", "2. Eve is the tea drinker."]
    swapped = "1. Eve is the tea drinker.\n2. Bob is the  cat lover."
    first = [
        row(prompt=message("\n".join(clues))),
        row("countdown", message("8 and 3?"), {"numbers": "8,3", "target": 5}),
        row("countdown", message("3 and 8!"), {"numbers": "3,8", "target": "5"}),
        row(prompt=message(f"Frame.\nUser: {swapped}\nAssistant: So")),
    ]
    second = [row(prompt=message("New?")), row(prompt=message(swapped))]
    for entry in first:
        entry["reward_model"] = {"ground_truth": json.dumps(entry["reward_model"]["ground_truth"])}
    train, test = written(tmp_path / "train.parquet", first), written(tmp_path / "test.parquet", second)
    one, two = check([train, test])
    assert [(fault.kind, fault.row) for fault in one.faults] == [("repeated question", 2), ("repeated question", 3)]
    assert [(fault.kind, fault.row) for fault in two.faults] == [("shared question", 1)]
    assert two.faults[0].reason == f"the question of row 0 of {train}"


def test_a_file_that_was_changed_after_it_was_made_is_found(tmp_path):
    path = prepare(Contents({"arc-mini": 3}, test=1), tmp_path).paths["train"]
    pq.write_table(pq.read_table(path).slice(1), path)
    assert [fault.kind for fault in check([path])[0].faults] == ["manifest"]


def test_a_task_whose_answers_cannot_be_worked_out_is_counted(tmp_path):
    numbers = ",".join(map(str, range(1, 9)))
    [file] = check([written(tmp_path / "x.parquet", [row("countdown", None, {"numbers": numbers, "target": 36})])])
    assert file.faults == [] and file.without_gold == {"countdown": 1}
    assert "1  not scored, since their right answer is not known here (task 'countdown')" in report(file)


@pytest.fixture
def judge(monkeypatch):
    """Registers the check of a task "own" for one test."""
    monkeypatch.setattr(registry, "_tasks", dict(registry.known_tasks()))
    monkeypatch.setattr(registry, "_found", {})
    return lambda check, **how: registry.register("own", **how)(lambda answer, truth, **_: check(answer, truth))


def test_the_check_of_ones_own_task_must_call_the_rows_own_target_right(tmp_path, judge):
    calls_right = [True]
    judge(lambda answer, target: calls_right[0] and answer == target)
    rows = [row("own-train", message(text), {"target": text}) for text in ("odd", r"\frac{1}{2}", "a}b")]
    assert faults(tmp_path, *rows) == []
    calls_right[0] = False
    [file] = check([written(tmp_path / "own.parquet", rows)])
    assert [(fault.kind, fault.row) for fault in file.faults] == [("gold answer", number) for number in range(3)]
    text = report(file)
    assert r"row 0: the row's own target does not score 1.0: the task's check calls '\\boxed{odd}' wrong. Corr" in text
    assert text.count("Correct the check") == 1


def test_a_check_that_returns_no_verdict_is_a_fault_of_its_rows(tmp_path, judge):
    judge(lambda answer, target: None)
    [file] = check([written(tmp_path / "own.parquet", [row("own")])])
    assert [(fault.kind, fault.row) for fault in file.faults] == [("gold answer", 0)]
    assert "must return True or False, and returned None" in file.faults[0].reason


@pytest.mark.parametrize("truth", [{"target": ["odd"]}, {"target": "odd", "base": "2"}, {"least": 2}])
def test_a_truth_that_is_no_answer_of_ones_own_task_is_not_scored(tmp_path, judge, truth):
    judge(lambda answer, truth: False, truth=lambda fields, **_: fields)
    [file] = check([written(tmp_path / "own.parquet", [row("own", None, truth)])])
    assert file.faults == [] and file.without_gold == {"own": 1}


def test_the_report_shows_a_handful_and_the_count(tmp_path):
    [file] = check([written(tmp_path / "x.parquet", [row("sudoku", message(str(number))) for number in range(12)])])
    text = report(file)
    assert "12 rows, 12 faults" in text and "data_source: 12" in text and "row 4: no reward function" in text
    assert "row 5:" not in text and "and 7 more" in text
    assert text.count("; known: ") == text.count("To add a task, write one file") == 1
    assert "row 0: no reward function for data_source 'sudoku'; known: " in text


def test_a_report_counts_in_words_and_says_in_a_line_what_cannot_be_read(tmp_path):
    one, none = check([written(tmp_path / "one.parquet", [row("sudoku")]), tmp_path / "none.parquet"])
    assert report(one).startswith(f"{tmp_path}/one.parquet: 1 row, 1 fault\n")
    assert report(none) == f"{tmp_path}/none.parquet does not exist"


def test_the_command_ends_with_1_on_a_fault_and_0_without(tmp_path):
    def run(*arguments):
        program = "from mt_grpo_recipe.cli import main; main()"
        command = [sys.executable, "-c", program, "prepare", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    good = written(tmp_path / "good.parquet", [row()])
    bad = written(tmp_path / "bad.parquet", [row(data_source="sudoku", prompt=message("?"))])
    assert run("--check", good).returncode == 0
    done = run("--check", good, bad)
    assert done.returncode == 1 and "row 0: no reward function for data_source 'sudoku'" in done.stdout
    done = run("--check", tmp_path, good)
    assert done.returncode == 1 and f"{tmp_path} is a folder" in done.stdout and "Traceback" not in done.stderr
    assert f"{good}: 1 row, 0 faults" in done.stdout
    done = run("--check", good, "-o", tmp_path, "exp1", "--train", 5)
    assert done.returncode == 1 and "--check makes nothing: leave out exp1, --train, -o" in done.stderr
    assert "-o DIR" in run().stderr


def test_a_file_that_cannot_be_read_is_named_in_a_sentence_and_the_others_are_checked(tmp_path):
    good = written(tmp_path / "good.parquet", [row(prompt=message(f"{number}?")) for number in range(2000)])
    whole = good.read_bytes()
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "holed.parquet").write_bytes(whole[:100] + bytes(2000) + whole[2100:])
    (tmp_path / "cut.jsonl").write_text(json.dumps(row())[:-5])
    for name, words in [
        ("none.parquet", "does not exist"),
        ("", "is a folder: name the files in it"),
        ("empty.parquet", "is empty"),
        ("cut.parquet", "is not a parquet file, or is cut off"),
        ("cut.jsonl", "cannot be read: line 1 is not JSON: "),
        ("holed.parquet", "cannot be read from row 0 on"),
    ]:
        bad, fine = check([tmp_path / name, good])
        [fault] = bad.faults
        assert (fault.kind, fault.row) == ("file", None) and fine.faults == []
        assert fault.reason.startswith(f"{tmp_path / name} {words}") and "\n" not in fault.reason


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "{}", '{"files": 1}', '{"files": {"rows.parquet": 1}}', "[" * 9999]
)
def test_a_foreign_manifest_is_a_fault_of_the_file(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert faults(tmp_path, row()) == [("manifest", None)]
