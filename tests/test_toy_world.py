"""The toy world: z goes to the hard task and the batch follows; GRPO makes more steps of the same rollouts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import toy_world


@pytest.fixture
def printed(capsys):
    toy_world.main(["--steps", "40", "--seed", "1"])
    return capsys.readouterr().out


def test_what_is_printed_shows_the_mechanism_and_its_cost(printed):
    lines = printed.splitlines()
    grpo, mt_grpo = (
        [[float(cell.replace(",", "")) for cell in re.findall(r"[\d.,]+", line)] for line in part]
        for part in (lines[2:7], lines[9:14])
    )
    assert [row[0] for row in grpo] == [row[0] for row in mt_grpo] == [1, 10, 20, 30, 40]
    assert all(row[1:4] == [33.3] * 3 for row in grpo), "GRPO has no weights to move"
    hard = [row[3] for row in mt_grpo]
    assert hard == sorted(hard) and hard[-1] > 50
    assert all(sum(row[4:7]) == row[7] == toy_world.B for row in mt_grpo), "every group of the batch carries a gradient"
    assert grpo[-1][-1] == 40 * toy_world.B * toy_world.N
    at_the_end, in_all, within = lines[-3:]
    worst = [float(re.search(r"([\d.]+) %", line)[1]) for line in (at_the_end, in_all, within)]
    assert worst[1] > 3 * worst[0], "at equal steps"
    assert abs(worst[2] - worst[0]) < 2, "at equal rollouts"


def test_a_seed_fixes_what_is_printed(printed, capsys):
    toy_world.main(["--steps", "40", "--seed", "1"])
    assert capsys.readouterr().out == printed


def test_a_number_of_steps_that_shows_nothing_is_refused(capsys):
    with pytest.raises(SystemExit):
        toy_world.main(["--steps", "3"])
    assert "--steps takes 10 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_it_imports_neither_verl_nor_ray():
    code = "import sys, toy_world; sys.exit(bool({'verl', 'ray', 'vllm'} & set(sys.modules)))"
    folder = Path(toy_world.__file__).parent
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
