"""The shell scripts say how they are used, and start nothing when they are asked."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(script, *arguments):
    # Without an environment or a search path there is nothing that a script could install or train with.
    command = ["/bin/bash", f"run_scripts/{script}", *arguments]
    return subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("script", ["demo_cpu.sh", "test.sh", "all_methods_cpu.sh", "mini/run.sh", "mini/run_all.sh"])
def test_help_is_the_comment_at_the_head(script, option):
    done = run(script, option)
    assert (done.returncode, done.stderr) == (0, "")
    head = (ROOT / "run_scripts" / script).read_text().partition("set -euo")[0].splitlines()[1:]
    assert done.stdout.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in head]


@pytest.mark.parametrize("arguments", [(), ("mt_grpo",)])
def test_a_run_of_the_comparison_needs_a_method_and_a_seed(arguments):
    done = run("mini/run.sh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]\n"
