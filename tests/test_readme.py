"""The documents: the links, files, functions, settings and methods that they name exist."""

import ast
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mt_grpo_recipe.algorithm.settings import RULES, SCHEDULES, GeneralSettings, ImprovementSettings, RewardSettings

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mt_grpo_recipe"
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSIDE = (PACKAGE / "README.md").read_text(encoding="utf-8")
FOLDERS = ("mt_grpo_recipe", "reward_fns", "data_prep", "run_scripts", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])


def section(text, title):
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def tree_of(block):
    """Paths of an indented tree, two blanks per level, with the comment of each; a line may name several."""
    above = []
    for line in block.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names, _, comment = line.strip().partition("  ")
        for name in names.split(", "):
            above[depth:] = [name.rstrip("/")]
            yield "/".join(above), comment.strip()


def test_a_tree_is_read():
    read = list(tree_of("a/\n  b/   c d\n    e.py, f.py   g\n  h   i\n"))
    assert read == [("a", ""), ("a/b", "c d"), ("a/b/e.py", "g"), ("a/b/f.py", "g"), ("a/h", "i")]


TREES = {
    "CONTRIBUTING.md": section((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "What is where"),
    "mt_grpo_recipe/README.md": section(INSIDE, "Files"),
}


@pytest.mark.parametrize("name", TREES)
def test_every_path_of_a_tree_exists_and_is_explained_once(name):
    tree = list(tree_of(TREES[name].split("```")[1]))
    assert len(tree) > 10
    assert not [path for path, _ in tree if not (ROOT / path).exists()]
    # The first line is the folder that the file describes.
    assert not [path for path, comment in tree if not comment and path != "mt_grpo_recipe"]
    assert len({path for path, _ in tree}) == len(tree)


def test_the_tree_of_the_package_has_every_file():
    listed = {path for path, _ in tree_of(TREES["mt_grpo_recipe/README.md"].split("```")[1])}
    files = {str(file.relative_to(ROOT)) for file in PACKAGE.rglob("*.py")}
    unexplained = {file for file in files - listed if not file.endswith("/__init__.py")}
    assert not unexplained


def definitions(path):
    """Names that a file defines: functions, classes, and `Class.method`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{member.name}"


WALK = section(INSIDE, "Where a group is born, judged, chosen and forgotten")


def test_the_walk_has_ten_lines_that_each_name_a_function():
    lines = WALK.strip().splitlines()
    assert [line.split(".")[0] for line in lines] == [str(n) for n in range(1, 11)]
    assert all(re.search(r"`[\w/]+\.py:[\w.]+`", line) for line in lines)


@pytest.mark.parametrize("reference", sorted(set(re.findall(r"`([\w/]+\.py:[\w.]+)`", WALK))))
def test_every_function_of_the_walk_exists(reference):
    file, name = reference.split(":")
    path = ROOT / file if file.startswith("reward_fns/") else PACKAGE / file
    assert name in set(definitions(path))


def test_every_function_of_the_step_exists():
    rows = re.findall(r"  (\w+\.\w+|judge|compute_\w+)$", section(INSIDE, "One training step"), re.MULTILINE)
    assert len(rows) > 12
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "reward_fns").rglob("*.py")]
    assert not set(rows) - {name for file in files for name in definitions(file)}


def settings_of_the_plugin():
    """Every setting, named as in a training config."""
    parts = [("", GeneralSettings), ("improvement.", ImprovementSettings), ("rewards.", RewardSettings)]
    parts += [("weights.", rule) for rule in RULES.values()]
    parts += [("sampler.", schedule) for schedule in SCHEDULES.values()]
    named = {f"mt_grpo.{prefix}{field.name}" for prefix, settings in parts for field in fields(settings)}
    return named | {"mt_grpo.weights.rule", "mt_grpo.sampler.schedule"}


def test_the_page_of_settings_has_the_tables_that_the_command_prints():
    command = [sys.executable, "-m", "mt_grpo_recipe.config"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    page = (PACKAGE / "config" / "README.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n" + printed), "the page is behind: python -m mt_grpo_recipe.config --write"
    assert settings_of_the_plugin() <= set(re.findall(r"`(mt_grpo\.[\w.]+)`", printed))
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| `mt_grpo.")]
    assert all(cell.strip("| ") for row in rows for cell in (*row[:-2], row[-1])), "a default or a meaning is missing"
    # A floor is read by a function of its own; its bounds are in the meaning.
    assert [row[0] for row in rows if not row[-2].strip()] == ["| `mt_grpo.weights.floors`"], "bounds are missing"
    methods = {path.stem for path in (PACKAGE / "config" / "mt_grpo").glob("*.yaml")}
    assert methods <= set(re.findall(r"^\| `(\w+)` \|", printed, re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_a_document_names_exists(path):
    if path.name == "CHANGELOG.md":
        return
    named = set(re.findall(r"(?<![\w/+=])mt_grpo\.(?:(?:weights|sampler|improvement|rewards)\.)?\w+", path.read_text()))
    sections = {"mt_grpo.weights", "mt_grpo.sampler", "mt_grpo.improvement", "mt_grpo.rewards"}
    assert not named - settings_of_the_plugin() - sections


def test_every_setting_that_is_named_inside_exists():
    named = re.findall(r"`((?:weights|sampler|improvement)\.\w+)", section(INSIDE, "Notation"))
    assert len(named) > 6
    assert {f"mt_grpo.{name}" for name in named} <= settings_of_the_plugin()


def test_the_readme_is_short_and_names_methods_that_exist():
    assert len(README.splitlines()) <= 100
    table = section(README, "Use it on your model and data").split("| method |")[1]
    methods = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert {path.stem for path in (PACKAGE / "config" / "mt_grpo").glob("*.yaml")} >= methods >= {"mt_grpo", "grpo"}


def tokens_of(path):
    """The blocks of a document, and the inline pieces of each."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def anchors(path):
    """What the headings of a document can be linked by: their text as GitHub makes an anchor of it."""
    blocks = tokens_of(path)
    for opening, heading in pairwise(blocks):
        if opening.type == "heading_open":
            text = "".join(piece.content for piece in heading.children)
            yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(path):
    pieces = [piece for block in tokens_of(path) for piece in block.children or ()]
    for link in [piece.attrs.get("href") or piece.attrs.get("src") for piece in pieces if piece.attrs]:
        target, _, anchor = link.partition("#")
        if "://" not in target:
            file = (path.parent / target).resolve() if target else path
            assert file.exists(), link
            assert not anchor or anchor in set(anchors(file)), link


def test_every_option_that_is_tried_has_a_row_in_the_table_of_verls_options(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "e2e"))
    script = runpy.run_path(str(ROOT / "tests" / "e2e" / "compatibility.py"))
    table = (PACKAGE / "verl_plugin" / "README.md").read_text(encoding="utf-8")
    rows = dict(line.strip("| ").rsplit(" | ", 1) for line in table.splitlines() if line.startswith("| "))
    for case in script["CASES"]:
        assert rows[case.shown] in ("refused at start" if case.refused else f"works: {case.sign_is}", "not run")
