"""Entry point `cpu_platform` of group `verl.plugins`: verl imports this module in each of its processes.

A module of its own, because vLLM imports `mt_grpo_recipe.cpu` before verl in its engine process: a registration at that
import would start verl, which would load its plugins while this one is half imported.
"""

from mt_grpo_recipe.cpu import register_platform
from mt_grpo_recipe.plugin_loading import loud_import

with loud_import("cpu_platform"):
    register_platform()
