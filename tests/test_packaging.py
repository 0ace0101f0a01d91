"""What a wheel holds: every package, and every file in them that the code reads."""

import runpy
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mt_grpo_recipe", "reward_fns", "data_prep")


@pytest.fixture
def metadata(monkeypatch):
    """What setup.py gives to setuptools."""
    given = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return given


def test_every_folder_with_code_is_a_package(metadata):
    folders = {file.parent for name in PACKAGES for file in (ROOT / name).rglob("*.py")}
    assert {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders} == set(metadata["packages"])


def test_every_file_that_the_code_reads_is_listed(metadata):
    patterns = metadata["package_data"]["mt_grpo_recipe"]
    listed = {file for pattern in patterns for file in (ROOT / "mt_grpo_recipe").glob(pattern)}
    read = {file for name in PACKAGES for file in (ROOT / name).rglob("*") if file.is_file()}
    assert {file for file in read if file.suffix not in (".py", ".pyc", ".md")} == listed
