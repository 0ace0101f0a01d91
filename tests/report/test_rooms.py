"""The rooms of the report: read -> measure -> show, and nothing goes back."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mt_grpo_recipe.report.measure.groups import SHIPPED_METHODS
from mt_grpo_recipe.report.show.style import METHOD_MARKS

PACKAGE = "mt_grpo_recipe.report"
REPORT = Path(__file__).resolve().parents[2] / "mt_grpo_recipe" / "report"
ROOMS = ("read", "measure", "show")
LOADED = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
assert len(names) >= 4, names
for name in names:
    importlib.import_module(name)
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"matplotlib", "rich", "verl", "ray", "torch"})
assert not loaded, f"{sys.argv[1]} loads {loaded}"
"""


def imported(file):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(("room", "later"), [("read", ("measure", "show")), ("measure", ("show",)), ("show", ())])
def test_no_room_imports_a_later_one(room, later):
    files = list((REPORT / room).glob("*.py"))
    assert len(files) > 4
    # What builds on the rooms, such as the commands, comes last.
    allowed = tuple(f"{PACKAGE}.{name}." for name in ROOMS if name not in later)
    back = [
        f"{file.name} imports {name}"
        for file in files
        for name in imported(file)
        if name.startswith(PACKAGE) and not name.startswith(allowed)
    ]
    assert not back


@pytest.mark.parametrize("room", ["read", "measure"])
def test_numbers_need_neither_matplotlib_nor_a_terminal(room):
    command = [sys.executable, "-c", LOADED, f"{PACKAGE}.{room}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr


def test_every_shipped_method_has_its_place_and_its_mark():
    assert set(SHIPPED_METHODS) == set(METHOD_MARKS)
