"""The algorithm stays free of the training stack."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import mt_grpo_recipe.algorithm as package
names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
assert len(names) >= 6, names
for name in names:
    importlib.import_module(name)
heavy = {"verl", "ray", "vllm", "transformers", "hydra", "omegaconf"}
loaded = sorted({name.split(".")[0] for name in sys.modules} & heavy)
assert not loaded, f"mt_grpo_recipe.algorithm loads {loaded}"
"""


def test_no_module_loads_verl_ray_or_vllm():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
