"""Which logs are one run: by their names, by run.json, and below a directory."""

import json
from pathlib import Path

import pytest
from synthetic import synthetic_lines, write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report.read import finding
from mt_grpo_recipe.report.read.identity import name_of_run
from mt_grpo_recipe.report.read.log import RunLogError, read_run, read_runs

LINES = synthetic_lines(steps=6, test_freq=3)
NAMED = "differ in a number at the end alone, such as metrics-1.jsonl and metrics-2.jsonl, or lie beside a run.json"


def find_run(path, below=True):
    return finding.find_run(path, below).path


def find_runs(path):
    return [run.path for run in finding.find_runs(path)]


def logs(directory, *names, lines=LINES):
    return [write_log(directory / f"{name}.jsonl", lines) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("exp_seed0", "exp_seed1"),
        ("dapo", "mt_grpo"),
        ("seed0", "seed1"),
        ("grpo-s1", "grpo-s2"),
        ("mt_grpo_0.2", "mt_grpo_0.25"),
        ("lr1e-5", "lr1e-6"),
        ("exp1", "exp2"),
    ],
)
def test_runs_side_by_side_in_one_directory_are_runs_of_their_own(tmp_path, names):
    files = logs(tmp_path / "proj", *names)
    assert find_runs(tmp_path / "proj") == find_runs(tmp_path) == files
    runs, notes = read_runs([tmp_path])
    assert ([run.path for run in runs], notes) == (files, [])
    for refused in (read_run, find_run):
        with pytest.raises(RunLogError, match="proj holds 2 runs: name one of them, such as ") as error:
            refused(tmp_path / "proj")
        assert NAMED in str(error.value)


def test_such_runs_are_named_by_their_files(tmp_path):
    logs(tmp_path, "exp_seed0", "exp_seed1", "dapo-20260101-120000")
    assert [(run.method, run.seed) for run in read_runs([tmp_path])[0]] == [("dapo", None), ("exp", 0), ("exp", 1)]


@pytest.mark.parametrize(
    "names",
    [
        ("metrics-1", "metrics-2", "metrics-10"),
        ("metrics-20260101-120000", "metrics-20260102-090000"),
        ("a", "a-2"),
        ("run1", "run2"),
        ("1", "2"),
        ("exp_seed0", "exp_seed0-2"),
        ("mt_grpo_0.2", "mt_grpo_0.2-20260101-120000"),
    ],
)
def test_names_that_differ_in_the_number_of_the_attempt_are_one_run(tmp_path, names):
    files = logs(tmp_path / "run", *names)
    assert find_runs(tmp_path) == [tmp_path / "run"]
    assert read_run(tmp_path / "run").files == tuple(files)


def test_whatever_lies_beside_a_run_json_is_one_run(tmp_path):
    run = write_run(tmp_path / "run", method="dapo", seed=3, steps=6)
    write_log(run / "resumed.jsonl", LINES[4:])
    assert find_runs(tmp_path) == [run] and len(read_run(run).files) == 2


def test_attempts_are_joined_beside_another_run(tmp_path):
    first, second, other = logs(tmp_path, "a", "a-2", "b")
    assert [run.files for run in read_runs([tmp_path])[0]] == [(first, second), (other,)]


def test_an_attempt_that_starts_over_after_the_end_is_told_of(tmp_path):
    logs(tmp_path / "run", "exp-1", "exp-2")
    assert any(
        "exp-2.jsonl starts over although the run had finished" in problem
        for problem in read_run(tmp_path / "run").problems
    )
    write_log(tmp_path / "run" / "exp-2.jsonl", synthetic_lines(steps=9)[6:])
    assert read_run(tmp_path / "run").problems == ()


def test_name_of_run_leaves_numbers_that_belong_to_the_name():
    names = {"metrics-3": "metrics", "7": "", "a_2": "a", "s1-2": "s1", "a-1e-5": "a-1e-5", "a_0.5": "a_0.5"}
    assert {name: name_of_run(Path(f"{name}.jsonl.gz")) for name in names} == names


# ---------------------------------------------------------------------- below a directory


@pytest.mark.parametrize(
    "line", ['{"data_source": "x"}', '{"input": "q", "output": "a", "step": 1}', "[1]", '{"step": 1, "data": [2]}']
)
def test_json_lines_of_another_kind_are_no_run(tmp_path, line):
    rollouts = tmp_path / "dump" / "rollouts" / "1.jsonl"
    rollouts.parent.mkdir(parents=True)
    rollouts.write_text(line + "\n", encoding="utf-8")
    assert find_run(tmp_path) == tmp_path
    (log,) = logs(tmp_path / "dump" / "logs", "metrics-1")
    assert find_run(tmp_path) == log.parent
    assert find_run(tmp_path, below=False) == tmp_path
    # Beside a log it is left out, and named.
    (log.parent / "train.jsonl").write_text(line + "\n", encoding="utf-8")
    assert read_run(log.parent).problems == ("train.jsonl holds no line of verl's file logger and is left out",)


@pytest.mark.parametrize("text", ["", "junk", '{"step": 1, "da', 'oops\n{"step": 1, "data": {"actor/x": 1}}\n'])
def test_a_log_that_has_just_begun_or_is_damaged_is_found(tmp_path, text):
    log = tmp_path / "run" / "metrics-1.jsonl"
    log.parent.mkdir()
    log.write_text(text, encoding="utf-8")
    assert find_run(tmp_path) == log.parent


def test_a_run_counts_once_however_many_links_lead_to_it(tmp_path):
    run = write_run(tmp_path / "links" / "run1", steps=3)
    (tmp_path / "links" / "latest").symlink_to("run1")
    (tmp_path / "links" / "up").symlink_to(tmp_path)
    (tmp_path / "links" / "nothing").symlink_to("gone")
    assert find_runs(tmp_path) == [run]
    assert find_run(tmp_path / "links" / "latest") == tmp_path / "links" / "latest"
    bare = logs(tmp_path / "other", "a")
    (tmp_path / "other" / "latest.jsonl").symlink_to("a.jsonl")
    (tmp_path / "other" / "lost.jsonl").symlink_to("gone.jsonl")
    (tmp_path / "other" / "folder.jsonl").mkdir()
    assert read_run(tmp_path / "other").files == tuple(bare)


def test_the_report_counts_runs_of_one_directory_apart(tmp_path, capsys):
    logs(tmp_path / "proj", "exp_seed0", "exp_seed1")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "proj"), "-o", str(tmp_path / "out")])
    assert ended.value.code == 0 and "note:" not in capsys.readouterr().out
    rows = (tmp_path / "out" / "tables" / "runs.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["exp", "0"], ["exp", "1"]]
    assert json.loads((tmp_path / "proj" / "exp_seed0.jsonl").read_text(encoding="utf-8").splitlines()[0])["step"] == 0
