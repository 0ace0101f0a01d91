"""The environment of a CPU run, for the tests and the processes they start."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
