"""The environment of a CPU run, for the tests and the processes they start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True, scope="package")
def cpu_environment():
    """Set what `use_cpu` of run_scripts/common.sh exports, so that tests and scripts run alike."""
    script = f"source {ROOT}/run_scripts/common.sh && use_cpu && env -0"
    exported = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout
    patch = pytest.MonkeyPatch()
    for line in exported.split("\0"):
        if line:
            name, _, value = line.partition("=")
            patch.setenv(name, value)
    yield
    patch.undo()


def _stop_ray():
    subprocess.run([str(BIN / "ray"), "stop", "--force"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def stop_ray():
    """A function that stops what a run left behind, killed ones above all."""
    return _stop_ray


@pytest.fixture(scope="module")
def mini_folder(tmp_path_factory):
    """A folder for a run, with the three mini tasks in `data`; Ray is stopped after the module's tests."""
    folder = tmp_path_factory.mktemp("run")
    subprocess.run([BIN / "mt-grpo", "prepare", "--train", "60", "--test", "4", "-o", folder / "data"], check=True)
    yield folder
    _stop_ray()
