"""What a report writes into its folder, and what it takes away there."""

import csv
import io

import pytest
from synthetic import synthetic_lines, write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.show.accuracy_tables import threshold_table
from mt_grpo_recipe.report.show.pictures import shares_keys
from mt_grpo_recipe.report.show.tables import to_csv

pytestmark = pytest.mark.slow


def report(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    return ended.value.code


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_of_an_earlier_report_that_a_new_one_does_not_write_are_removed_and_no_others(tmp_path):
    for seed, method in enumerate(("mt_grpo", "dapo")):
        write_run(tmp_path / "both" / method, method=method, seed=seed, steps=12, n=4)
    write_log(tmp_path / "bare" / "attempt-1.jsonl", synthetic_lines(steps=3)[:1])
    assert report(tmp_path / "bare", "-o", tmp_path / "fresh") == 0
    assert report(tmp_path / "both", "-o", tmp_path / "out") == 0
    mine = {"notes.txt", "figures/shares-mine.png", "figures/notes.md", "tables/mine.csv", "tables/old/summary.csv"}
    for name in mine:
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).touch()
    before = files_of(tmp_path / "out")
    assert {"figures/shares-dapo.svg", "tables/task-changes.csv"} <= before
    assert report(tmp_path / "bare", "-o", tmp_path / "out") == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "fresh") | mine < before


def test_without_an_earlier_report_nothing_is_removed(tmp_path):
    write_log(tmp_path / "bare" / "attempt-1.jsonl", synthetic_lines(steps=3)[:1])
    mine = tmp_path / "out" / "tables" / "task-changes.csv"
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert report(tmp_path / "bare", "-o", tmp_path / "out") == 0
    assert mine.exists()


@pytest.mark.parametrize("text", ["0.5,0.5", "0.5,0.50000000001"])
def test_a_threshold_that_is_named_twice_is_refused(tmp_path, text, capsys):
    assert report(tmp_path, "-o", tmp_path, "--thresholds", text) == 2
    assert f"argument --thresholds: {text!r} names 50 % twice" in capsys.readouterr().err


def test_no_two_columns_of_the_csv_have_one_name(tmp_path):
    run = write_run(tmp_path / "run", steps=12, n=4)
    [header, *_] = csv.reader(io.StringIO(to_csv(threshold_table(compare([run])))))
    assert len(header) == len(set(header)) > 1


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_the_name_of_a_file_stays_short_whatever_a_group_is_called(letter):
    names = [letter * 300 + ending for ending in ("", "a", "b")]
    keys = shares_keys([*names, "short"])
    assert keys["short"] == "shares-short" and len(set(keys.values())) == 4
    assert all(len(f"{key}.png".encode()) < 160 for key in keys.values())
    assert all(keys[name].startswith(f"shares-{letter * 50}") for name in names)
    assert keys == shares_keys([*names, "short"])


def test_a_group_of_300_letters_is_reported(tmp_path):
    write_run(tmp_path / "run", label="x" * 300, steps=3)
    assert report(tmp_path / "run", "-o", tmp_path / "out") == 0
    [figure] = (tmp_path / "out" / "figures").glob("shares-*.png")
    assert f"figures/{figure.name}" in (tmp_path / "out" / "report.md").read_text()
