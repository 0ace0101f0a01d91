"""Rows from files, folders and the hub: every fault is a sentence that names the file, and the row or line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.sources import load
from mt_grpo_recipe.cli import main

ONE, TWO = {"a": 1}, {"a": "two", "b": [None]}


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


def fields(rows):
    return [row.fields for row in rows]


def test_each_kind_of_file_gives_its_rows_with_their_places(tmp_path):
    lines(tmp_path / "rows.jsonl", ONE, TWO)
    lines(tmp_path / "lines.json", ONE, TWO)
    (tmp_path / "list.json").write_text("\ufeff" + json.dumps([ONE, TWO], indent=1), encoding="utf-8")
    (tmp_path / "one.json").write_text(json.dumps(ONE, indent=1))
    pq.write_table(pa.Table.from_pylist([ONE, {"a": 2}]), tmp_path / "rows.parquet")
    for name, expected, place in [
        ("rows.jsonl", [ONE, TWO], "line 2"),
        ("lines.json", [ONE, TWO], "line 2"),
        ("list.json", [ONE, TWO], "row 1"),
        ("one.json", [ONE], "row 0"),
        ("rows.parquet", [ONE, {"a": 2}], "row 1"),
    ]:
        rows = load(str(tmp_path / name))["all"]
        assert fields(rows) == expected and rows[-1].place == f"{tmp_path / name}, {place}"


def test_a_folder_is_split_by_names_or_read_whole(tmp_path):
    lines(tmp_path / "raw" / "L4" / "laboratory_safety_test.jsonl", ONE)  # no split: all of this is one data set
    lines(tmp_path / "raw" / "L1" / "training_QA.jsonl", TWO)
    assert {split: len(rows) for split, rows in load(str(tmp_path / "raw")).items()} == {"all": 2}
    lines(tmp_path / "split" / "train" / "algebra" / "1.json", ONE)
    lines(tmp_path / "split" / "test-00000-of-00001.jsonl", TWO)
    lines(tmp_path / "split" / "dataset_infos.json", {"splits": 2})
    found = load(str(tmp_path / "split"))
    assert {split: fields(rows) for split, rows in found.items()} == {"train": [ONE], "test": [TWO]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "none.jsonl does not exist"),
        ("empty.jsonl", b"", "empty.jsonl is empty"),
        ("empty.parquet", b"", "empty.parquet is empty"),
        ("rows.csv", b"a,b\n", "rows.csv cannot be read: give a file that ends in .parquet, .json, .jsonl"),
        ("rows.parquet", b"PAR1 and no more", "rows.parquet is not a parquet file, or is cut off"),
        ("cut.jsonl", b'{"a": 1}\n{"a": ', "cut.jsonl is not JSON in line 2"),
        ("cut.json", b'[{"a": 1}, {"a"', "cut.json is not JSON in line 1"),
        ("latin.jsonl", '{"a": "é"}'.encode("latin-1"), "latin.jsonl is not JSON in UTF-8"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl is not JSON in line 1"),
        ("list.json", b"[1]", "list.json, row 0, must be an object with fields; it is 1"),
        ("list.jsonl", b"{}\n\n[1]", r"list.jsonl, line 3, must be an object with fields; it is \[1\]"),
        ("folder", "folder", "folder has no file that ends in .parquet, .json, .jsonl"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_in_a_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        load(str(path))
    assert "\n" not in str(caught.value)


def test_the_hub_without_a_connection_is_one_sentence(monkeypatch):
    import datasets

    def unreachable(name):
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(ValueError, match=r"^no/body is neither a file nor a folder here.*: Couldn't reach 'no/body'"):
        load("no/body")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--settings", "text.yaml"], "text.yaml must hold settings by task"),
        (["--settings", "binary.yaml"], "binary.yaml cannot be read as YAML"),
        (["--settings", "broken.yaml"], "broken.yaml cannot be read as YAML"),
        (["--settings", "."], ". cannot be read as YAML"),
        (["--settings", "list.yaml"], "list.yaml must hold settings by task"),
        (["-o", "text.yaml"], "text.yaml"),
        (["exp3b", "--sciknoweval", "text.yaml"], "text.yaml cannot be read"),
    ],
)
def test_the_command_ends_in_a_sentence(tmp_path, monkeypatch, arguments, words):
    (tmp_path / "text.yaml").write_text("only words")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00")
    (tmp_path / "broken.yaml").write_text("a: ${b\n")
    (tmp_path / "list.yaml").write_text("[1]")
    monkeypatch.chdir(tmp_path)
    workers = [] if "exp3b" in arguments else ["--workers", "1"]
    with pytest.raises(SystemExit, match=words):
        main(["prepare", "--train", "1", "--test", "1", *workers, "-o", "out", *arguments])
