"""`--check` on somebody's own rows: other questions, tasks that a run refuses, JSON files, checks that raise."""

import argparse
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import cli
from data_prep.check import check, report
from data_prep.task_fields import TASK_KEY
from mt_grpo_recipe.config import MTGRPOConfig
from reward_fns import registry


@pytest.fixture
def own(monkeypatch):
    """Registers the check of a task "own" for one test; by default, any answer is right."""
    monkeypatch.setattr(registry, "_tasks", dict(registry.known_tasks()))
    monkeypatch.setattr(registry, "_found", {})
    return lambda check=lambda answer, truth: True, **how: registry.register("own", **how)(
        lambda answer, truth, **_: check(answer, truth)
    )


def row(text="Who?", truth="even", system=None, source="own", **columns):
    messages = [{"role": "user", "content": text}]
    return {
        "data_source": source,
        "prompt": ([{"role": "system", "content": system}] if system else []) + messages,
        "reward_model": {"ground_truth": {"target": truth}},
        "extra_info": {"task": "own"},
        **columns,
    }


def checked(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path / "rows.parquet")
    return check([path / "rows.parquet"])[0]


def faults(path, *rows):
    return [(fault.kind, fault.row) for fault in checked(path, list(rows)).faults]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1\nx = 2\nprint(x)", "x = 2\nx = 1\nprint(x)"),
        ("7. 5", "8. 5"),
        ("1 2\n3 4", "3 4\n1 2"),
        ("1 2\n3 4", "1 2 3 4"),
        ("for x in y:\n  a()\nb()", "for x in y:\n  a()\n  b()"),
        ("User: Who?\nAssistant: I say", "User: Who?\nAssistant: You say"),
    ],
)
@pytest.mark.parametrize("source", ["own", "rg:chain_sum"])
def test_other_texts_are_other_questions(tmp_path, own, one, other, source):
    own()
    truth = {"reward_model": {"ground_truth": {"target": "3", "entry": json.dumps({"answer": "3"})}}}
    rows = [row(text, source=source, **({} if source == "own" else truth)) for text in (one, other)]
    assert not [fault for fault in faults(tmp_path, *rows) if "question" in fault[0]]


def test_the_same_text_is_the_same_question_whatever_its_blanks(tmp_path, own):
    own()
    assert faults(tmp_path, row("a  b\n\nc "), row(" a b\nc")) == [("repeated question", 1)]
    assert faults(tmp_path, row("a", system="s  t"), row("a", system="s t")) == [("repeated question", 1)]


def test_another_system_prompt_is_another_question(tmp_path, own):
    own()
    assert faults(tmp_path, row(system="Be brief."), row(system="Be kind."), row()) == []


@pytest.mark.parametrize("column", ["images", "videos", "audios"])
@pytest.mark.parametrize("source", ["own", "zebra"])
def test_another_image_is_another_question(tmp_path, own, column, source):
    own()
    rows = [row("<image> Who?", source=source, **{column: [{"bytes": data}]}) for data in (b"1", b"2", b"1")]
    assert faults(tmp_path, *rows) == [("repeated question", 2)]


def test_a_file_without_rows_is_a_fault(tmp_path, own):
    own()
    pq.write_table(pa.Table.from_pylist([row()]).slice(1), tmp_path / "none.parquet")
    [file] = check([tmp_path / "none.parquet"])
    assert [(fault.kind, fault.row) for fault in file.faults] == [("no rows", None)]
    assert "0 rows, 1 fault" in report(file) and "it has no row, and a run refuses it" in report(file)
    (tmp_path / "none.json").write_text("[]")
    assert [fault.reason for fault in check([tmp_path / "none.json"])[0].faults] == [
        f"{tmp_path / 'none.json'} cannot be read: it has no row"
    ]


def test_rows_without_the_task_that_others_have_are_faults(tmp_path, own):
    own()
    others = [{"task": None}, {}, None]
    rows = [row(), *(row(str(number), extra_info=info) for number, info in enumerate(others))]
    assert faults(tmp_path, *rows) == [("task", 1), ("task", 2), ("task", 3)]


@pytest.mark.parametrize("name", ["", "  ", ["a"], {"a": "b"}, float("nan")])
def test_a_task_that_is_no_name_is_a_fault(tmp_path, own, name):
    own()
    assert faults(tmp_path, row(extra_info={"task": name})) == [("task", 0)]


def test_a_number_names_a_task(tmp_path, own):
    own()
    assert faults(tmp_path, row(extra_info={"task": 3})) == []


def test_a_file_in_which_no_row_has_a_task_has_a_note_unless_it_is_like_the_released_data(tmp_path, own):
    own()
    file = checked(tmp_path, [row("a", extra_info={"index": 0}), row("b", extra_info={"index": 1})])
    assert not file.faults and len(file.notes) == 1
    bare = {name: value for name, value in row().items() if name != "extra_info"}
    text = report(checked(tmp_path, [bare]))
    assert "  note: no row has extra_info.task, where a run looks for the row's task. Fill it in, or name" in text
    released = [row(text, extra_info={"difficulty": 2, "type": "own"}) for text in "ab"]
    assert not checked(tmp_path, released).notes
    assert checked(tmp_path, [*released, row("c", extra_info={"index": 0})]).notes


def test_the_field_of_the_task_is_the_default_of_a_run():
    assert tuple(MTGRPOConfig().task_key) == TASK_KEY


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_json_files_are_read_as_a_run_reads_them(tmp_path, own, name):
    own(lambda answer, truth: answer == truth)
    rows = [row("a"), row("b", truth="12"), row("c", truth=3), row("a"), {"data_source": "own"}]
    text = json.dumps(rows) if name == "rows.json" else "\n".join(map(json.dumps, rows))
    (tmp_path / name).write_text(text)
    [file] = check([tmp_path / name])
    found = [(fault.kind, fault.row) for fault in file.faults]
    assert found == [("ground truth", 2), ("repeated question", 3), ("prompt", 4), ("ground truth", 4), ("task", 4)]
    assert file.rows == {"own": 5}


def test_the_command_reads_json(tmp_path, own, capsys):
    own()
    (tmp_path / "rows.jsonl").write_text(json.dumps(row()))
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert cli.run(parser.parse_args(["--check", str(tmp_path / "rows.jsonl")])) == 0
    assert "1 row, 0 faults" in capsys.readouterr().out


def test_a_check_that_raises_is_one_fault_with_what_it_raised(tmp_path, own, caplog):
    own(lambda answer, truth: {}[answer] if truth == "odd" else int(answer + "\nfoo"))
    file = checked(tmp_path, [row(str(number), truth) for number, truth in enumerate(["even", "odd", "even"])])
    assert [(fault.kind, fault.row) for fault in file.faults] == [("check raised", 0), ("check raised", 1)]
    text = report(file)
    assert "raised on 'even': ValueError: invalid literal for int() with base 10: 'even\\nfoo' (test_own_rows" in text
    assert ", and in 1 more row. Correct the check: in a run" in text
    assert "raised on 'odd': KeyError: 'odd'" in text
    assert caplog.text == ""


def test_a_check_that_always_raises_is_found_without_a_right_answer(tmp_path, own, caplog):
    calls = []

    def broken(answer, truth):
        calls.append(answer)
        raise SystemExit(f"no {answer}")

    own(broken, truth=lambda fields, **_: fields)
    rows = [row(str(number), reward_model={"ground_truth": {"least": number}}) for number in range(5)]
    file = checked(tmp_path, rows)
    assert not file.faults and file.without_gold == {"own": 5}
    assert "raised on each of '0', 'a', '[0]': SystemExit: no [0]" in report(file)
    assert len(calls) == 3 and caplog.text == ""


def test_a_check_that_raises_on_some_answers_only_has_no_note_where_no_right_one_is_known(tmp_path, own):
    own(lambda answer, truth: int(answer) == truth["least"], truth=lambda fields, **_: fields)
    file = checked(tmp_path, [row(reward_model={"ground_truth": {"least": 3}})])
    assert not file.faults and not file.notes
