"""The files: same seed same bytes, no question twice, the columns verl reads."""

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from reasoning_gym import create_dataset

import data_prep
from data_prep import cli, countdown, rg
from data_prep.check import check
from data_prep.prepare import Contents, draw, prepare
from data_prep.table import to_table
from data_prep.tasks import TASKS, items, parse_tasks, stream
from reward_fns import compute_score
from reward_fns.rg import unpack_entry

pytestmark = pytest.mark.slow

MIXED = {"countdown-mini": 12, "arc-mini": 12, "zebra-mini": 6}


def rows(path):
    return pq.read_table(path).to_pylist()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Also in another process, whose string hashes differ."""
    first = prepare(Contents(MIXED, test=4, seed=3), tmp_path / "first").paths
    second = f"prepare(Contents({MIXED!r}, test=4, seed=3), {str(tmp_path / 'second')!r})"
    program = f"from data_prep.prepare import Contents, prepare; {second}"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONHASHSEED": "7"})
    for path in first.values():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
    other = prepare(Contents(MIXED, test=4, seed=4), tmp_path / "other").paths
    assert first["train"].read_bytes() != other["train"].read_bytes()


def test_no_question_occurs_twice_in_a_family():
    train, test = draw({"countdown-mini": 300, "countdown-easy": 100}, test=50)
    keys = [puzzle.key for rows_by_task in (train, test) for puzzles in rows_by_task.values() for puzzle in puzzles]
    assert len(keys) == 300 + 100 + 100 == len(set(keys))


def test_the_test_puzzles_do_not_depend_on_the_number_of_training_puzzles():
    assert draw({"arc-mini": 5}, test=7)[1] == draw({"arc-mini": 50}, test=7)[1]


def test_tasks_do_not_share_a_random_stream():
    """A task's puzzles do not depend on other tasks or on their order."""
    alone, _ = draw({"arc-easy": 10}, test=0)
    beside, _ = draw({"countdown-mini": 5, "arc-easy": 10}, test=0)
    assert alone["arc-easy"] == beside["arc-easy"]


def test_a_mixed_file_has_one_schema_and_string_targets(tmp_path):
    paths = prepare(Contents(MIXED, test=2), tmp_path).paths
    read = rows(paths["train"])
    assert [row["extra_info"]["index"] for row in read] == list(range(30))
    for row in read:
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        assert set(info) == {"task", "type", "difficulty", "index", "split"}
        assert row["data_source"] == f"{info['task']}-train" and info["split"] == "train" and info["difficulty"] == 0
        assert row["prompt"][0]["role"] == "user" and len(row["prompt"]) == 1
        assert row["ability"] == info["type"] == info["task"].split("-")[0]
        assert row["reward_model"]["style"] == "rule"
        assert isinstance(truth["target"], str)
        assert (truth["numbers"] is None) == (info["type"] != "countdown")
    assert {row["extra_info"]["task"] for row in rows(paths["test"])} == set(MIXED)


def test_a_file_of_one_family_has_the_released_ground_truth(tmp_path):
    only = rows(prepare(Contents({"countdown-mini": 3, "countdown-easy": 3}, test=1), tmp_path).paths["train"])
    assert isinstance(only[0]["reward_model"]["ground_truth"]["target"], int)
    assert [row["extra_info"]["difficulty"] for row in only] == [0, 0, 0, 1, 1, 1]
    train, _ = draw({"arc-easy": 2}, test=0)
    assert set(to_table(train, "train").to_pylist()[0]["reward_model"]["ground_truth"]) == {"target"}


def test_datasets_loads_a_mixed_file(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = prepare(Contents(MIXED, test=1), tmp_path).paths["train"]
    loaded = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["reward_model"]["ground_truth"]["numbers"].count(",") == 2
    assert loaded[-1]["reward_model"]["ground_truth"]["numbers"] is None


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    paths = prepare(Contents({"arc-mini": 2}, test=1), tmp_path).paths
    before = paths["train"].read_bytes()

    def no_space(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr("data_prep.prepare.pq.write_table", no_space)
    with pytest.raises(OSError, match="no space"):
        prepare(Contents({"arc-mini": 2}, test=1), tmp_path)
    assert paths["train"].read_bytes() == before
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [".parts", "manifest.json", "test.parquet", "train.parquet"]  # the parts wait for another attempt


@pytest.mark.parametrize("text", ["sudoku:mini", "countdown:huge", "countdown", ""])
def test_an_unknown_task_is_refused_with_what_there_is(text):
    with pytest.raises(ValueError, match=r"unknown task .*countdown, arc, zebra.*mini, mini2, .*easy, medium, hard"):
        next(stream(text, 0))


def test_a_list_of_tasks_is_read_and_checked():
    assert parse_tasks("countdown:mini, zebra-hard") == ["countdown-mini", "zebra-hard"]
    assert len(TASKS) == 18 and all(parse_tasks(task) == [task] for task in TASKS)
    with pytest.raises(ValueError, match="twice"):
        parse_tasks("arc:mini,arc-mini")


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="no task given"):
        draw({})
    with pytest.raises(ValueError, match="negative"):
        draw({"arc-mini": -1})


def test_a_task_that_runs_out_says_so(monkeypatch):
    monkeypatch.setitem(countdown.SIZES, "mini", {"numbers": 2, "max_value": 2, "max_target": 3})
    monkeypatch.setattr("data_prep.prepare._MAX_REPEATS", 100)
    with pytest.raises(ValueError, match=r"countdown-mini ran out of new puzzles after \d+"):
        draw({"countdown-mini": 1000}, test=0)


def test_the_command_line_writes_both_files(tmp_path):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    args = parser.parse_args(["--tasks", "arc:mini,countdown:mini", "--train", "5", "--test", "2", "-o", str(tmp_path)])
    assert cli.run(args) == 0
    assert len(rows(tmp_path / "train.parquet")) == 10
    assert len(rows(tmp_path / "test.parquet")) == 4


def test_an_experiment_of_the_paper_names_its_tasks_and_may_be_made_smaller(tmp_path):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert cli.run(parser.parse_args(["exp1", "--train", "2", "--test", "1", "-o", str(tmp_path)])) == 0
    rows = pq.read_table(tmp_path / "train.parquet").to_pylist()
    assert {f"{row['extra_info']['difficulty']}-{row['extra_info']['type']}" for row in rows} == {
        "2-countdown",
        "2-zebra",
        "2-arc",
    }
    with pytest.raises(ValueError, match="either exp1 or --tasks"):
        cli.run(parser.parse_args(["exp1", "--tasks", "arc:mini", "-o", str(tmp_path)]))
    for option, value, least in (("--train", -1, 0), ("--test", -1, 0), ("--workers", 0, 1)):
        with pytest.raises(ValueError, match=f"{option} {value}: it must be {least} or more"):
            cli.run(parser.parse_args([option, str(value), "-o", str(tmp_path)]))


def test_the_manifest_says_how_the_files_came_about(tmp_path):
    prepare(Contents({"arc-mini": 3, "countdown-easy": 2}, test=1, seed=7, prompts="chat"), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["versions"]) == {"python", "mt-grpo-recipe", "reasoning-gym", "pyarrow"}
    assert (manifest["seed"], manifest["prompts"]) == (7, "chat")
    assert manifest["tasks"]["countdown-easy"]["generator"]["max_target"] == 1000
    assert manifest["tasks"]["arc-mini"]["train"] == 3 and manifest["tasks"]["arc-mini"]["test"] == 1
    assert {name: file["rows"] for name, file in manifest["files"].items()} == {"train.parquet": 5, "test.parquet": 2}
    for name, file in manifest["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == file["sha256"]


def test_chat_prompts_are_the_question_alone(tmp_path):
    task = {"countdown-easy": 4, "arc-easy": 4, "zebra-easy": 2, "countdown-mini": 2}
    base = rows(prepare(Contents(task, test=0), tmp_path / "base").paths["train"])
    chat = rows(prepare(Contents(task, test=0, prompts="chat"), tmp_path / "chat").paths["train"])
    for raw, plain in zip(base, chat, strict=True):
        text, question = raw["prompt"][0]["content"], plain["prompt"][0]["content"]
        if raw["extra_info"]["task"] == "countdown-mini":
            assert text == question
        else:
            assert f"\nUser: {question}\nAssistant:" in text
            assert "User:" not in question and "Assistant:" not in question
        assert {**raw, "prompt": None} == {**plain, "prompt": None}


def test_any_data_set_of_reasoning_gym_is_a_task(tmp_path):
    wanted = {"rg:leg_counting": 3, "countdown-mini": 2}
    for row in rows(prepare(Contents(wanted, test=1), tmp_path).paths["train"]):
        truth = row["reward_model"]["ground_truth"]
        if row["data_source"] == "rg:leg_counting-train":
            assert row["extra_info"]["type"] == "leg_counting"
            response = f"<answer>{truth['target']}</answer>"
            assert compute_score(row["data_source"], response, truth, row["extra_info"])["score"] == 1.0
        else:
            assert truth["entry"] is None
    with pytest.raises(ValueError, match=r"no data set 'no_such_set'\. It has .*leg_counting"):
        parse_tasks("rg:no_such_set")
    with pytest.raises(ValueError, match=r"no data set 'legcounting': did you mean 'leg_counting'\? It has "):
        parse_tasks("rg:legcounting")


@pytest.mark.parametrize("dataset", ["word_ladder", "gsm_symbolic", "pool_matrix", "leg_counting"])
def test_a_data_set_goes_on_beyond_its_size_and_takes_any_seed(dataset):
    """Word ladders end at 500, GSM's list of templates too; numpy's seeds have 32 bits."""
    task = f"rg:{dataset}"
    beyond = [item["question"] for item in islice(items(task, 0, 590), 20)]
    assert beyond[5:] == [item["question"] for item in islice(items(task, 0, 595), 15)]
    assert len(set(beyond)) > 10


def test_entries_are_those_of_one_long_data_set_where_it_makes_them_by_number():
    made = [item["question"] for item in islice(rg.items("leg_counting", 7, 0), 250)]
    assert made == [item["question"] for item in create_dataset("leg_counting", seed=7, size=250)]


def test_settings_of_a_data_set_reach_the_generator_the_row_and_the_manifest(tmp_path):
    settings = {"rg:leg_counting": {"min_animals": 2, "max_animals": 2}}
    prepare(Contents({"rg:leg_counting": 5, "arc-mini": 2}, test=1, settings=settings), tmp_path)
    for row in rows(tmp_path / "train.parquet")[:5]:
        truth = row["reward_model"]["ground_truth"]
        assert len(unpack_entry(truth["entry"])["metadata"]["animals"]) == 2
        assert json.loads(truth["config"]) == settings["rg:leg_counting"]
        assert compute_score(row["data_source"], f"<answer>{truth['target']}</answer>", truth)["score"] == 1.0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["tasks"]["rg:leg_counting"]["generator"]["max_animals"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rg:chain_sum": {}}, "not one of the rg tasks asked for: rg:leg_counting, arc-mini"),
        ({"arc-mini": {"length": 3}}, "not one of the rg tasks"),
        ({"rg:leg_counting": {"seed": 3}}, "must not hold seed or size"),
        ({"rg:leg_counting": {"legs": 3}}, "reasoning-gym cannot make 'leg_counting'.*legs"),
        ({"rg:leg_counting": {"max_animals": 0}}, "reasoning-gym cannot make 'leg_counting'.*max_animals must be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(Contents({"rg:leg_counting": 1, "arc-mini": 1}, settings=settings), tmp_path)


def test_settings_are_read_from_a_yaml_file(tmp_path):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    (tmp_path / "rg.yaml").write_text("rg:leg_counting: {min_animals: 2, max_animals: 2}\n")
    options = ["--tasks", "rg:leg_counting", "--train", "2", "--test", "1", "--workers", "1", "-o", str(tmp_path)]
    cli.run(parser.parse_args([*options, "--settings", str(tmp_path / "rg.yaml")]))
    assert json.loads((tmp_path / "manifest.json").read_text())["tasks"]["rg:leg_counting"]["generator"] == {
        "dataset": "leg_counting",
        "min_animals": 2,
        "max_animals": 2,
    }
    (tmp_path / "rg.yaml").write_text("- leg_counting\n")
    with pytest.raises(ValueError, match="must hold settings by task"):
        cli.run(parser.parse_args([*options, "--settings", str(tmp_path / "rg.yaml")]))


def test_a_data_set_of_many_right_answers_has_no_target(tmp_path):
    path = prepare(Contents({"rg:graph_color": 2}, test=0), tmp_path).paths["train"]
    assert [row["reward_model"]["ground_truth"]["target"] for row in rows(path)] == [None, None]
    [file] = check([path])
    assert file.faults == [] and file.without_gold == {"rg": 2}


def test_the_readme_shows_every_option_and_commands_that_are_read():
    text = (Path(data_prep.__file__).parent / "README.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    [block] = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    for command in block.splitlines():
        program, name, *arguments = shlex.split(command, comments=True)
        assert (program, name) == ("mt-grpo", "prepare")
        args = parser.parse_args(arguments)
        if args.tasks:
            assert parse_tasks(args.tasks)
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `-"))
    assert set(re.findall(r"--[a-z]+", parser.format_help())) - {"--help"} == set(re.findall(r"--[a-z]+", table))
