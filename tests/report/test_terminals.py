"""Terminals and pipes that cannot show everything: other encodings, few columns."""

import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console
from synthetic import write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report.read.log import read_run
from mt_grpo_recipe.report.show.live import ASCII_LEVELS, BLOCKS, run_view
from mt_grpo_recipe.report.show.one_run import run_table

PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TASKS = ("countdown-mini", "zebra-größer")


@pytest.mark.parametrize(
    ("command", "encoding", "named"),
    [
        (("watch", "--once"), {"PYTHONIOENCODING": "utf-8"}, "zebra-größer"),
        (("watch", "--once"), {"PYTHONIOENCODING": "latin-1"}, "zebra-größer"),
        (("watch", "--once"), {"PYTHONIOENCODING": "ascii"}, "zebra-gr??er"),
        (("watch", "--once"), PLAIN, "zebra-gr??er"),
        (("watch",), PLAIN, "zebra-gr??er"),
        (("show",), PLAIN, "zebra-gr??er"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(tmp_path, command, encoding, named):
    run = write_run(tmp_path / "run", tasks=TASKS, steps=20, n=8)
    ended = subprocess.run(
        [sys.executable, "-m", "mt_grpo_recipe", command[0], run, *command[1:]],
        env={**{name: value for name, value in os.environ.items() if not name.startswith("PYTHONIO")}, **encoding},
        capture_output=True,
        check=False,
    )
    text = ended.stdout.decode(encoding.get("PYTHONIOENCODING", "ascii"))
    assert (ended.returncode, ended.stderr) == (0, b"") and named in text
    if command == ("watch", "--once"):
        (row,) = (line for line in text.splitlines() if named in line)
        levels = BLOCKS if encoding.get("PYTHONIOENCODING") == "utf-8" else ASCII_LEVELS
        assert re.search(rf"[ |][{re.escape(levels)}]{{16}} ", row)


def shown(renderable, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 109, 110, 150])
def test_a_narrow_terminal_cuts_no_number(tmp_path, width):
    run = read_run(write_run(tmp_path / "run", tasks=("countdown-mini", "arc-mini"), steps=200, n=80))
    wide, narrow = shown(run_view(run, 200), 200), shown(run_view(run, width), width)
    assert "…" not in narrow
    assert all(len(line) <= width for line in narrow.splitlines())
    numbers = re.findall(r"[\d.,]+", next(line for line in wide.splitlines() if "arc-mini" in line))
    kept = re.findall(r"[\d.,]+", next(line for line in narrow.splitlines() if line.strip().startswith("arc")))
    assert kept[0] == numbers[0] and set(kept) <= set(numbers)
    left_out = re.search(r"Left out, as the terminal is narrow: ([^.]*)\.", " ".join(narrow.split()))
    assert (left_out is not None) == (width < 80) and len(numbers) - len(kept) == (
        len(left_out[1].split(", ")) if left_out else 0
    )


@pytest.mark.parametrize("width", ["20", "40", "80"])
def test_the_table_of_a_run_cuts_no_number(tmp_path, capsys, monkeypatch, width):
    run = write_run(tmp_path / "run", steps=20)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": width}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(["show", str(run)])
    text = capsys.readouterr().out
    assert "…" not in text
    wide = shown(run_table(read_run(run)), 200)
    # What is formatted as one cell, without the styles of the terminal.
    cells = [re.findall(r"[-+]?\d+\.\d\b|zebra|zero-grad", re.sub(r"\x1b\[[\d;]*m", "", t)) for t in (text, wide)]
    assert cells[0][: len(cells[1])] == cells[1] and len(cells[1]) > 20
