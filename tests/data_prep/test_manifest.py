"""`prepare` replaces only files that it made from the same settings."""

import argparse
import json
from pathlib import Path

import pytest

from data_prep import cli, experiment3
from data_prep.experiment3 import Sources, settings_of
from data_prep.manifest import PENDING, refuse_to_replace
from data_prep.parts import Parts
from data_prep.prepare import Contents, prepare

MADE = {"train.parquet", "test.parquet", "manifest.json"}


def contents(train=3, **other):
    return Contents({"arc-mini": train}, test=1, **other)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(folder, wanted, monkeypatch):
    """What the refusal says; nothing is made before it."""
    before = files(folder)
    monkeypatch.setattr(Parts, "make", lambda *_: pytest.fail("made puzzles first"))
    with pytest.raises(ValueError, match=r"Choose another -o, or remove them$") as error:
        prepare(wanted, folder)
    assert files(folder) == before
    return str(error.value)


def test_the_same_command_may_be_repeated(tmp_path):
    prepare(contents(), tmp_path)
    made = files(tmp_path)
    (tmp_path / "test.parquet").unlink()
    prepare(contents(), tmp_path)
    assert files(tmp_path) == made and made.keys() == MADE


@pytest.mark.parametrize("name", ["train.parquet", "test.parquet"])
def test_ones_own_file_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"mine")
    said = refused(tmp_path, contents(), monkeypatch)
    assert said.startswith(f"this would replace {tmp_path / name}, and no manifest.json beside them says that")


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"files": {"a": 1}}'])
def test_ones_own_manifest_is_not_replaced(tmp_path, monkeypatch, text):
    (tmp_path / "manifest.json").write_text(text)
    assert f"{tmp_path}/manifest.json is no manifest of" in refused(tmp_path, contents(), monkeypatch)


def test_a_file_that_has_changed_is_not_replaced(tmp_path, monkeypatch):
    prepare(contents(), tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"mine")
    said = refused(tmp_path, contents(), monkeypatch)
    assert f"replace {tmp_path}/test.parquet, and {tmp_path}/manifest.json describes other files" in said


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (contents(train=4), "tasks"),
        (contents(seed=1), "seed"),
        (contents(prompts="chat"), "prompts"),
        (Contents({"arc-mini": 3, "countdown-mini": 3}, test=1), "tasks"),
    ],
)
def test_a_set_of_other_settings_is_not_replaced(tmp_path, monkeypatch, other, names):
    prepare(contents(), tmp_path)
    said = refused(tmp_path, other, monkeypatch)
    assert f"manifest.json has other settings ({names})" in said
    assert all(str(tmp_path / name) in said for name in MADE)


def test_the_order_of_tasks_is_a_setting(tmp_path):
    prepare(Contents({"arc-mini": 2, "countdown-mini": 2}, test=1), tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(tasks\)"):
        prepare(Contents({"countdown-mini": 2, "arc-mini": 2}, test=1), tmp_path)


@pytest.mark.parametrize("killed_at", ["test.parquet", "manifest.json"])
def test_an_interruption_between_the_files_does_not_make_them_foreign(tmp_path, monkeypatch, killed_at):
    prepare(contents(), tmp_path / "whole")
    rename = Path.replace

    def killed(path, target):
        if Path(target).name == killed_at:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(contents(), tmp_path / "killed")
    assert {PENDING, "train.parquet"} <= files(tmp_path / "killed").keys()
    with pytest.raises(ValueError, match="other settings"):
        prepare(contents(seed=1), tmp_path / "killed")
    prepare(contents(), tmp_path / "killed")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_no_puzzle_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--train 0 and --test 0 leave no puzzle to make"):
        prepare(Contents({"arc-mini": 0}, test=0), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def run(*arguments):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args([str(argument) for argument in arguments]))


def test_experiment_3_looks_at_both_folders_before_it_reads_anything(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment3, "read_math", lambda *_: pytest.fail("read first"))
    (tmp_path / "exp3b").mkdir()
    (tmp_path / "exp3b" / "test.parquet").write_bytes(b"mine")
    with pytest.raises(ValueError, match=rf"replace {tmp_path}/exp3b/test.parquet, and no manifest"):
        run("exp3", "--math", "m", "--sciknoweval", "s", "-o", tmp_path)


def test_a_part_of_experiment_3_is_made_again_only_from_the_same_settings(tmp_path):
    asked = dict(part="exp3b", sources=Sources("m", "s"), train=8, test=4, seed=0, prompts="base")
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {}, **settings_of(**asked)}))
    refuse_to_replace(tmp_path, settings_of(**asked))
    for name, value in {"part": "exp3a", "train": 9, "sources": Sources("m", "t"), "seed": 1}.items():
        with pytest.raises(ValueError, match="has other settings"):
            refuse_to_replace(tmp_path, settings_of(**asked | {name: value}))
