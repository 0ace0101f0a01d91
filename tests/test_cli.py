"""`mt-grpo`: what holds for the arguments of every command."""

import ast
from pathlib import Path

import pytest

from mt_grpo_recipe.cli import COMMANDS, main


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["prepare", "--tasks", "", "-o", "x"], "--tasks"),
        (["prepare", "--tasks=", "-o", "x"], "--tasks"),
        (["prepare", "-o", ""], "-o"),
        (["prepare", "exp3", "-o", "x", "--math", " "], "--math"),
        (["prepare", "-o", "x", "--settings", ""], "--settings"),
        (["prepare", "--check", "a.parquet", ""], "argument 3"),
        (["doctor", "--verl", ""], "--verl"),
        (["doctor", "data.train_files=x", ""], "argument 2"),
        (["watch", ""], "argument 1"),
        (["show", "run", "-o", ""], "-o"),
        (["report", "a", "b", "--baseline", "", "-o", "x"], "--baseline"),
        (["report", "", "-o", "x"], "argument 1"),
        (["replay", "", "--set", "sampler.oversample=2"], "argument 1"),
        (["simulate", "-o", ""], "-o"),
    ],
)
def test_an_empty_argument_is_refused_by_every_command(arguments, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == (
        f"mt-grpo {arguments[0]}: {what} is empty: write a value, or leave it out. An unset shell variable expands to "
        "nothing"
    )
    assert not list(tmp_path.iterdir())


def test_the_empty_arguments_above_are_of_all_commands():
    [cases] = [mark.args[1] for mark in test_an_empty_argument_is_refused_by_every_command.pytestmark]
    assert {arguments[0] for arguments, _ in cases} == COMMANDS.keys()


def test_no_console_puts_emoji_in_the_place_of_names():
    root = Path(__file__).parents[1]
    calls = [
        (file.name, node)
        for package in ("mt_grpo_recipe", "data_prep", "reward_fns", "run_scripts")
        for file in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Console"
    ]
    without = [
        f"{name}, line {call.lineno}"
        for name, call in calls
        if not any(word.arg == "emoji" and ast.unparse(word.value) == "False" for word in call.keywords)
    ]
    assert len(calls) > 5 and without == []
