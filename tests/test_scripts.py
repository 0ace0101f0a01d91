"""The shell scripts: how they say they are used, and what their functions do in ordinary and in odd cases."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
WITH_HELP = [path.name for path in ROOT.glob("run_scripts/*.sh") if path.name != "common.sh"]
WITH_HELP += ["mini/run.sh", "mini/run_all.sh"]


def run(script, *arguments):
    # Without an environment or a search path there is nothing that a script could install or train with.
    command = ["/bin/bash", f"run_scripts/{script}", *arguments]
    return subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("script", WITH_HELP)
def test_help_is_the_comment_at_the_head(script, option):
    done = run(script, option)
    assert (done.returncode, done.stderr) == (0, "")
    head = (ROOT / "run_scripts" / script).read_text().partition("set -euo")[0].splitlines()[1:]
    assert done.stdout.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in head]


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("trainer.total_training_steps=5", "--help")])
def test_help_of_a_run_of_the_paper_is_its_own_and_leaves_nothing(tmp_path, arguments):
    command = ["/bin/bash", ROOT / "run_scripts/exp1/mt_grpo_0.2.sh", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "", [])
    assert "bash run_scripts/exp1/mt_grpo_0.2.sh [VERL OVERRIDES...]" in done.stdout and "DATA_DIR" in done.stdout
    assert "run_paper" not in done.stdout and "#" not in done.stdout


@pytest.mark.parametrize("option", ["--cfg=job", "-c", "--info", "--hydra-help", "--version", ""])
def test_only_a_run_of_the_paper_that_trains_gets_a_directory(tmp_path, option):
    (tmp_path / "python").write_text('#!/bin/bash\nif [ "$1" != -m ]; then echo exp1; fi\n')
    (tmp_path / "python").chmod(0o755)
    run = 'VIRTUAL_ENV=any OUT_DIR=$1/out run_paper exp1/dapo ${2:+"$2"}'
    done = shell(run, tmp_path, option, path=[tmp_path])
    assert (done.returncode, (tmp_path / "out").exists()) == (0, not option)


@pytest.mark.parametrize("jobs", ["x", "0", "-1", "1.5", "2 3"])
def test_a_number_of_jobs_that_is_none_is_refused(jobs):
    env = {"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": "any", "DRY": "1", "ONLY": "verl", "JOBS": jobs}
    command = ["/bin/bash", "run_scripts/mini/run_all.sh"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: JOBS={jobs}" in done.stderr and "a whole number above 0" in done.stderr


def test_a_run_of_the_comparison_keeps_what_replay_reads_without_the_checkpoints(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.parquet").touch()
    train = f"mkdir -p {tmp_path}/out/checkpoints/global_step_1; cd {tmp_path}/out/checkpoints"
    for name, does in {"flock": "", "python": f"{train}; echo 1 >decisions.jsonl; echo 2 >outcomes.jsonl"}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")  # a lock that another run holds would take hours
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "VIRTUAL_ENV": "any"}
    env |= {"OUT_DIR": str(tmp_path / "out"), "DATA_DIR": str(tmp_path / "data")}
    command = ["/bin/bash", "run_scripts/mini/run.sh", "mt_grpo", "0"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"decisions.jsonl", "outcomes.jsonl", "finished"} <= names and "checkpoints" not in names


@pytest.mark.parametrize("arguments", [(), ("mt_grpo",)])
def test_a_run_of_the_comparison_needs_a_method_and_a_seed(arguments):
    done = run("mini/run.sh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]\n"


def shell(commands, *arguments, path=()):
    """Run commands that may use common.sh, with these directories in front of the search path."""
    script = f"set -euo pipefail; source {ROOT}/run_scripts/common.sh; {commands}"
    env = {"PATH": ":".join([*map(str, path), "/usr/bin:/bin"])}
    return subprocess.run(
        ["/bin/bash", "-c", script, "bash", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=20,
    )


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n"), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_path_of_any_characters_reaches_hydra_as_it_is(text):
    done = shell('printf "key=%s" "$(hydra_text "$1")"', f"/data/{text}/train.parquet")
    override = OverridesParser.create().parse_override(done.stdout)
    assert (done.returncode, str(override.value()), override.is_sweep_override()) == (
        0,
        f"/data/{text}/train.parquet",
        False,
    )


def viewer_that(tmp_path, ends):
    command = tmp_path / "mt-grpo"
    command.write_text(f"#!/bin/bash\n{ends}\n")
    command.chmod(0o755)
    return [tmp_path]


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_only_ctrl_c_in_the_view_stops_the_training_run(tmp_path, status):
    """The training run is a process that leaves a file in the end; where it is to be stopped, only in a minute."""
    run = '(sleep "$2"; touch "$1/trained") >/dev/null 2>&1 & echo $!; watch_training "$1" $!'
    stopped = status == 130
    done = shell(run, tmp_path, 60 if stopped else 1, path=viewer_that(tmp_path, f"exit {status}"))
    assert ((tmp_path / "trained").exists(), done.returncode) == ((False, 130) if stopped else (True, 0))
    assert ("training goes on" in done.stderr) == (status in (1, 2))
    for _ in range(100):
        if not Path(f"/proc/{done.stdout.split()[0]}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the training run goes on")


def test_the_end_of_a_log_is_shown_whatever_bytes_are_in_it(tmp_path):
    (tmp_path / "train.log").write_bytes(b"a WARNING\nprompt \0 \xff\nValueError: why\n")
    done = shell('fail_with_log "$1/train.log"', tmp_path)
    assert done.returncode == 1 and "ValueError: why" in done.stderr and "WARNING" not in done.stderr


@pytest.mark.parametrize(("name", "seed"), [("a b", "12"), ("grpo", "0")])
def test_a_run_is_named_for_the_report(tmp_path, name, seed):
    done = shell('start_run "$1/run" "$2" "$3"; echo "$VERL_FILE_LOGGER_PATH"', tmp_path, name, seed)
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"method": name, "seed": int(seed)}
    assert re.fullmatch(r".*/run/metrics-\d{8}-\d{6}\.jsonl\n", done.stdout)


@pytest.mark.parametrize(
    ("name", "seed"), [('a"b', "1"), ("a\\b", "1"), ("a", "01"), ("a", "-1"), ("a", "one"), ("a", "")]
)
def test_a_name_or_seed_that_no_json_holds_is_refused(tmp_path, name, seed):
    done = shell('start_run "$1/run" "$2" "$3"', tmp_path, name, seed)
    assert done.returncode == 2 and "a seed is a whole number such as 0 or 12" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_taken_for_one_of_other_settings(tmp_path):
    (tmp_path / "finished").write_text("equal mt_grpo mt_grpo 0 80 \n")
    env = {"PATH": "/usr/bin:/bin", "OUT_DIR": str(tmp_path), "VIRTUAL_ENV": "any"}

    def again(*overrides, **more):
        command = ["/bin/bash", "run_scripts/mini/run.sh", "mt_grpo", "0", *overrides]
        return subprocess.run(command, cwd=ROOT, env=env | more, capture_output=True, text=True, timeout=20)

    assert (again().returncode, "finished already" in again().stdout) == (0, True)
    for other in (again("mt_grpo.weights.trade_off=0.1"), again(STEPS="160"), again(SETTING="nine")):
        assert other.returncode == 2 and "a finished run of other settings" in other.stderr
