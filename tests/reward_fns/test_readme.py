"""The README of the rewards, executed: its code in a copy of the package, its table row by row."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reward_fns
from reward_fns import compute_score

PACKAGE = Path(reward_fns.__file__).parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
TASK_FILE, READER, USE, MAKE_DATA = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ENTRY_POINT = re.search(r"```toml\n\[project\.entry-points\.\"(.*?)\"\]\n(.*?) = \"(.*?)\"\n```", README)


EDGE_CASES = README.split("\n## Edge cases\n")[1].split("\n## ")[0]


def table_rows():
    for line in EDGE_CASES.splitlines():
        cells = line.replace("\\|", "\x00").split("|")
        if len(cells) == 7 and cells[2].strip().startswith("`"):
            data_source, truth, response, score = (cell.strip().replace("\x00", "|") for cell in cells[1:5])
            yield data_source, json.loads(truth.strip("`")), response.strip("`"), float(score)


def run(code, path):
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, cwd=path, capture_output=True, text=True)


@pytest.mark.parametrize(("data_source", "truth", "response", "score"), list(table_rows()))
def test_the_table_is_true(data_source, truth, response, score):
    assert compute_score(data_source, response, truth)["score"] == score


def test_the_table_was_read():
    assert len(list(table_rows())) == sum(line.startswith("|") for line in EDGE_CASES.splitlines()) - 2


def test_the_new_task_works_as_it_stands_and_fits_in_ten_lines(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "reward_fns")
    name = TASK_FILE.splitlines()[0].removeprefix("# ")
    (tmp_path / name).write_text(TASK_FILE, encoding="utf-8")
    done = run(f"{USE}\nimport reward_fns; print(reward_fns.__file__)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "reward_fns" / "__init__.py")
    assert len(TASK_FILE.splitlines()) <= 10


def test_a_reader_of_the_ground_truth_works_as_it_stands(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "reward_fns")
    header = "from reward_fns.registry import register\n\n"
    (tmp_path / "reward_fns" / "spell.py").write_text(header + READER, encoding="utf-8")
    use = (
        "from reward_fns import compute_score\n"
        "for answer in (r'\\boxed{to be}', ''): print(compute_score('spell', answer, {'words': ['to', 'be']})['acc'])\n"
        "compute_score('spell', '', {'words': []})"
    )
    done = run(use, tmp_path)
    assert done.stdout.split() == ["1.0", "0.0"]
    assert "the field 'words' must be a list of words" in done.stderr


def test_the_data_of_the_new_task_pass_the_check(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "reward_fns")
    (tmp_path / "reward_fns" / "parity.py").write_text(TASK_FILE, encoding="utf-8")
    check = (
        "from pathlib import Path; from data_prep.check import check, report\n"
        "files = check([Path('parity-train.parquet'), Path('parity-test.parquet')])\n"
        "print(*map(report, files), sep='\\n')"
    )
    done = run(f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n{MAKE_DATA}\n{check}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"parity-(\w+).parquet: (\d+) rows, (\d+) faults", done.stdout) == [
        ("train", "1000", "0"),
        ("test", "200", "0"),
    ]


def test_the_new_task_works_from_another_package(tmp_path):
    assert ENTRY_POINT
    group, name, value = ENTRY_POINT.groups()
    package, module = value.split(".")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / f"{module}.py").write_text(TASK_FILE, encoding="utf-8")
    information = tmp_path / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    done = run(USE, tmp_path)
    assert done.returncode == 0, done.stderr
    # The package may also be imported first, and then import the rewards itself.
    done = run(f"import {value}\n{USE}", tmp_path)
    assert done.returncode == 0, done.stderr
