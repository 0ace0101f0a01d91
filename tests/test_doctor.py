"""`mt-grpo doctor`: one line per check, and every problem reported at once."""

import argparse
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import verl

from mt_grpo_recipe import doctor
from mt_grpo_recipe.cli import main
from mt_grpo_recipe.machine_checks import Problem, check_cluster

GOOD = [
    *("actor_rollout_ref.rollout.name=vllm", "actor_rollout_ref.rollout.n=8"),
    *("data.train_batch_size=2", "actor_rollout_ref.actor.ppo_mini_batch_size=2"),
    # flash-attn, which verl's own choice needs, may be missing here.
    "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
]


@pytest.fixture
def diagnose(monkeypatch, capsys):
    """Run doctor on a training command, without the checks of this machine; return its exit status and its lines."""
    for name in ("python", "packages", "device", "plugin", "shared_memory", "cluster"):
        monkeypatch.setattr(doctor, f"check_{name}", lambda: "left out")

    def run(*overrides):
        status = doctor.run(argparse.Namespace(overrides=list(overrides), verl=None))
        return status, [line for line in capsys.readouterr().out.splitlines() if "left out" not in line]

    return run


PROMPT = [{"role": "user", "content": "make 6 from 2 and 3"}]
ROW = {"data_source": "countdown", "prompt": PROMPT, "reward_model": {"ground_truth": {"target": "x"}}}
TRUTH = {"style": "rule", "ground_truth": {"numbers": "2,3", "target": 6}}


def write(path, **columns):
    """A file with these columns, and with a prompt and a truth where they are not given; None leaves a column out."""
    rows = max(len(column) for column in columns.values() if column is not None)
    columns = {"prompt": [PROMPT] * rows, "reward_model": [TRUTH] * rows, **columns}
    columns = {name: column for name, column in columns.items() if column is not None}
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture
def train_file(tmp_path):
    rows = {"data_source": ["countdown"] * 3, "extra_info": [{"task": "countdown"}] * 3}
    return write(tmp_path / "train.parquet", **rows)


def test_a_good_command_and_its_data_are_ok(diagnose, train_file):
    status, lines = diagnose(*GOOD, f"data.train_files={train_file}", f"data.val_files={train_file}")
    assert (status, len(lines)) == (0, 2)
    assert lines[0].startswith("ok      config: rule improvement_aware")
    assert lines[1] == "ok      data: countdown: 3 rows"


def test_without_a_command_the_machine_alone_is_checked(diagnose):
    status, lines = diagnose()
    assert (status, len(lines)) == (0, 1)
    assert lines[0].startswith("skipped config: there is no command to check")


def test_every_refusal_of_the_trainer_is_told_at_once(diagnose):
    status, lines = diagnose("critic.enable=True", "actor_rollout_ref.rollout.n=8", "skip.rollout_tq.enable=True")
    assert status == 1
    assert lines[0] == "problem config: 3 things are wrong:"
    assert [line[:5] for line in lines[1:-1]] == ["  1. ", "  2. ", "  3. "]


def test_a_config_that_does_not_compose_names_the_override(diagnose):
    status, lines = diagnose("actor_rollout_ref.rolout.n=8")
    assert status == 1
    assert "problem config: the config does not compose" in lines[0]
    assert "rolout" in "".join(lines)
    assert lines[-2] == "        to fix it: correct the override that is named"


def test_an_unknown_setting_of_the_method_is_told_with_those_there_are(diagnose):
    status, lines = diagnose(*GOOD, "mt_grpo.weights.tradeoff=1")
    assert (status, len(lines)) == (1, 2)
    assert lines[0].startswith("problem config: mt_grpo.weights.tradeoff is unknown; there are mt_grpo.weights.")


def test_a_problem_that_stops_two_checks_is_told_once(diagnose, train_file):
    data = [f"data.{name}_files={train_file}" for name in ("train", "val")]
    status, lines = diagnose(*GOOD, *data, "mt_grpo.weights.rule=sharpest")
    assert (status, len(lines)) == (1, 2)
    assert lines[0].startswith("problem config: mt_grpo.weights.rule='sharpest' cannot be used")
    assert lines[1] == "skipped data: the problem above stands in the way"


def test_every_fault_of_the_data_files_is_told_at_once(diagnose, tmp_path):
    bare = write(tmp_path / "bare.parquet", data_source=["countdown"])
    status, lines = diagnose(*GOOD, f"data.train_files={bare}", f"data.val_files={tmp_path / 'none.parquet'}")
    assert status == 1
    assert lines[1:] == [
        "problem data: 2 things are wrong:",
        f"  1. {bare}: 1 of 1 rows name no task; the first is row 0, counted from 0. mt_grpo.task_key="
        "['extra_info.task'] names the field 'extra_info.task', but a row of the data has no 'extra_info' there; it "
        "has ['data_source', 'prompt', 'reward_model']. Name fields that every row has, such as [extra_info.task], or "
        "[extra_info.difficulty,extra_info.type] for the data released with the paper.",
        f"  2. {tmp_path / 'none.parquet'} does not exist.",
        "        to fix it: correct the files or mt_grpo.task_key, or make data: mt-grpo prepare -o DIR",
    ]


def test_a_file_that_cannot_be_read_is_named_with_the_reason(diagnose, train_file, tmp_path):
    for name, content, words in (
        ("half.jsonl", '{"a": 1}\n{"a": 2', "half.jsonl cannot be read: line 2 is not JSON: "),
        ("blank.jsonl", "\n", "blank.jsonl cannot be read: it has no row"),
        ("cut.parquet", "PAR1abc", "cut.parquet cannot be read: "),
    ):
        (tmp_path / name).write_text(content)
        _, lines = diagnose(*GOOD, f"data.train_files={tmp_path / name}", f"data.val_files={train_file}")
        assert words in "".join(lines)
    none = write(tmp_path / "none.parquet", data_source=pa.array([], pa.string()))
    _, lines = diagnose(*GOOD, f"data.train_files={none}", f"data.val_files={train_file}")
    assert "none.parquet cannot be read: it has no row" in "".join(lines)


def test_a_cluster_that_does_not_answer_is_a_problem(monkeypatch):
    def init(**_):
        raise ConnectionError("ray.init() could not connect")

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(Problem, match=r"no Ray cluster answers at RAY_ADDRESS=10\.0\.0\.1:6379"):
        check_cluster()


def test_brackets_in_a_message_are_printed(diagnose, tmp_path):
    rows = {"data_source": ["countdown"], "extra_info": [{"index": 1}]}
    file = write(tmp_path / "untasked.parquet", **rows)
    status, lines = diagnose(*GOOD, f"data.train_files={file}", f"data.val_files={file}")
    assert status == 1
    assert "such as [extra_info.task]" in lines[-2]


def test_validation_rows_without_a_task_are_named_with_file_and_row(diagnose, train_file, tmp_path):
    rows = {"data_source": ["countdown"] * 2, "extra_info": [{"task": "countdown"}, {"task": None}]}
    file = write(tmp_path / "no_task.parquet", **rows)
    status, lines = diagnose(*GOOD, f"data.train_files={train_file}", f"data.val_files={file}")
    assert status == 1
    assert lines[1].startswith(f"problem data: {file}: 1 of 2 rows name no task; the first is row 1, counted from 0.")


def test_data_sources_that_are_not_text_are_named_with_file_and_value(diagnose, train_file, tmp_path):
    tasks = [{"task": "countdown"}] * 2
    number = write(tmp_path / "number.parquet", data_source=[1, 2], extra_info=tasks)
    nested = write(tmp_path / "nested.parquet", data_source=[["countdown"]] * 2, extra_info=tasks)
    status, lines = diagnose(*GOOD, f"data.train_files=[{train_file},{number}]", f"data.val_files={nested}")
    assert status == 1
    for line, file, value in ((lines[2], number, "1, of type int"), (lines[3], nested, "['countdown'], of type list")):
        assert f"{file}: 2 of 2 rows have a data_source that is not text; the first is row 0" in line and value in line


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_the_data_are_checked_whatever_prefix_names_them(diagnose, prefix):
    lines = diagnose(*GOOD, f"{prefix}data.train_files=/nope.parquet")[1]
    # Hydra refuses to add what there is; that stands in the way of both checks.
    words = "skipped data: the problem above" if prefix == "+" else "  1. /nope.parquet does not exist."
    assert any(line.startswith(words) for line in lines), lines


def test_validation_files_alone_are_checked_and_no_files_are_said_not_to_be(diagnose, train_file):
    assert any("/nope.parquet does not exist" in line for line in diagnose(*GOOD, "data.val_files=/nope.parquet")[1])
    status, lines = diagnose(*GOOD)
    assert (status, lines[1:]) == (0, ["skipped data: no override names data.train_files or data.val_files"])


def test_a_method_or_platform_named_by_any_prefix_is_not_added_a_second_time(diagnose, monkeypatch):
    monkeypatch.setattr(doctor, "cpu_requested", lambda: True)
    for override in ("mt_grpo=grpo", "++mt_grpo=grpo", "platform=cpu", "++platform=cpu"):
        status, lines = diagnose(*GOOD, override)
        assert status == 1 and lines[0].startswith("problem config: the config does not compose"), (override, lines)


def test_files_that_verl_fetches_are_left_alone_and_said_not_to_be_checked(diagnose, train_file, tmp_path):
    remote = "hdfs://nn/x.parquet"
    status, lines = diagnose(*GOOD, f"data.train_files={remote}", f"data.val_files={train_file}")
    assert (status, lines[1]) == (0, f"ok      data: not checked, since they are read when a run starts: {remote}")
    # What is here is still checked.
    for train, test in ((remote, "/nope.parquet"), ("/nope.parquet", "s3://bucket/x.parquet")):
        status, lines = diagnose(*GOOD, f"data.train_files={train}", f"data.val_files={test}")
        assert status == 1 and lines[1] == "problem data: /nope.parquet does not exist."
    chess = write(tmp_path / "chess.parquet", data_source=["chess"], extra_info=[{"task": "chess"}])
    status, lines = diagnose(*GOOD, f"data.train_files={remote}", f"data.val_files={chess}")
    assert status == 1 and lines[1].startswith("problem data: no reward function for data_source 'chess'")


def test_files_that_are_no_text_are_a_problem(diagnose, train_file):
    status, lines = diagnose(*GOOD, "data.train_files=5", f"data.val_files={train_file}")
    assert (status, lines[1]) == (1, "problem data: 5 does not exist.")


def test_rows_are_counted_as_the_run_will_draw_them(diagnose, tmp_path):
    tasks = 6 * ["countdown"] + 3 * ["zebra"]
    (tmp_path / "train.jsonl").write_text(
        "\n".join(json.dumps({**ROW, "extra_info": {"task": task}}) for task in tasks)
    )
    data = [f"data.{name}_files={tmp_path}/train.jsonl" for name in ("train", "val")]
    assert diagnose(*GOOD, *data, "data.train_max_samples=3")[1][-1] == "ok      data: countdown: 2 rows, zebra: 1 rows"
    status, lines = diagnose(*GOOD, *data, "data.val_max_samples=1")
    assert status == 1 and lines[1].startswith("problem data: 1 rows cannot hold all 2 tasks of the data")


def test_a_dataset_class_of_ones_own_is_left_to_the_start_of_a_run(diagnose, train_file):
    data = [f"data.{name}_files={train_file}" for name in ("train", "val")]
    status, lines = diagnose(*GOOD, *data, "data.custom_cls.path=null")
    assert (status, lines[1]) == (
        0,
        "ok      data: RLHFDataset reads the files; its rows are checked when a run starts",
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+mt_grpo=mt_grpo_targets", "mt_grpo.weights.targets={arc: 0.6}"], "mt_grpo.weights.targets names ['arc']"),
        (["mt_grpo.weights.rule=fixed", "mt_grpo.weights.initial=[1,2,3]"], "initial has 3 numbers for 2 tasks"),
        (["mt_grpo.weights.rule=sequential", "mt_grpo.weights.stages=[[arc]]"], "mt_grpo.weights.stages"),
        (["mt_grpo.weights.min_share=0.6"], "mt_grpo.weights.min_share=0.6"),
        (["+mt_grpo=mt_grpo_targets", "mt_grpo.weights.floors={arc: 0.6}"], "mt_grpo.weights.floors names ['arc']"),
    ],
)
def test_settings_that_do_not_fit_the_tasks_of_the_data_are_told_as_a_run_tells_them(
    diagnose, tmp_path, overrides, words
):
    tasks = [{"task": "countdown"}] * 2 + [{"task": "zebra"}] * 2
    file = write(tmp_path / "two.parquet", data_source=["countdown"] * 4, extra_info=tasks)
    status, lines = diagnose(*GOOD, f"data.train_files={file}", f"data.val_files={file}", *overrides)
    assert (status, lines[0][:2]) == (1, "ok") and lines[1].startswith("problem data: ") and words in lines[1]


def test_rows_that_a_run_would_refuse_are_told(diagnose, train_file, tmp_path):
    rows = {"data_source": ["countdown"], "extra_info": [{"task": "countdown"}]}
    text = write(tmp_path / "text.parquet", **rows, prompt=["2 + 2"])
    bare = write(tmp_path / "bare.parquet", **rows, prompt=None)
    status, lines = diagnose(*GOOD, f"data.train_files=[{train_file},{bare}]", f"data.val_files={text}")
    assert status == 1
    assert f"{bare} has no column 'prompt', which other files of the data have" in lines[2]
    assert f"{text}: 1 of 1 rows have 'prompt' in a form that verl cannot use; the first is row 0" in lines[3]
    data = [f"data.{name}_files={train_file}" for name in ("train", "val")]
    status, lines = diagnose(*GOOD, *data, "data.prompt_key=question")
    assert status == 1 and "has no column 'question', which verl reads of every row; there are" in lines[1]


def test_a_reward_function_that_is_not_there_and_no_validation_files_are_told(diagnose, train_file):
    reward = "reward.custom_reward_function.path=nope.py"
    status, lines = diagnose(*GOOD, f"data.train_files={train_file}", "data.val_files=null", reward)
    assert status == 1 and lines[0] == "problem config: 2 things are wrong:"
    assert "data.val_files=None: verl reads" in lines[1] and f"{reward}, " in lines[2]


def test_what_has_no_effect_or_no_validation_is_warned_of(diagnose, train_file, tmp_path, caplog):
    rows = {"data_source": ["countdown"], "extra_info": [{"task": "countdown-hard"}]}
    other = write(tmp_path / "other.parquet", **rows)
    data = [f"data.train_files={train_file}", f"data.val_files={other}"]
    assert diagnose(*GOOD, *data, "+data.max_prompt_lenght=10")[0] == 0
    said = [record.getMessage() for record in caplog.records]
    assert any(line.endswith("Did you mean data.max_prompt_length?") for line in said)
    assert "data.val_files has no row of countdown: validation says nothing about them." in said


# ---------------------------------------------------------------------- --verl


def test_a_checkout_of_verl_is_held_against_the_contract(tmp_path, capsys):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(verl.__file__).parent, tmp_path / "verl", ignore=ignored, copy_function=os.symlink)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--verl", str(tmp_path)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == (
        f"ok      verl: {tmp_path} has every name of verl that the plugin uses; transfer_queue is not in {tmp_path} "
        "and was left out\n"
    )
    (tmp_path / "verl/trainer/ppo/v1/trainer_sync.py").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--verl", str(tmp_path)])
    assert ended.value.code == 1
    module = "verl.trainer.ppo.v1.trainer_sync"
    assert capsys.readouterr().out.splitlines() == [
        "problem verl: 2 things are wrong:",
        f"  1. {module}.PPOTrainerSync does not exist in {tmp_path}.",
        f"  2. {module}.PPOTrainerSync.on_sample_end does not exist in {tmp_path}.",
        "        to fix it: train with verl 0.9.1, or port the plugin and its contract to this verl",
    ]


def test_a_folder_without_verl_and_overrides_beside_a_checkout_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--verl", str(tmp_path)])
    assert ended.value.code == 1
    assert f"problem verl: {tmp_path} holds no package verl" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"--verl checks no training command: leave out data\.train_batch_size=2"):
        main(["doctor", "--verl", str(tmp_path), "data.train_batch_size=2"])
