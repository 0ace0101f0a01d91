"""Entry point `cpu_platform` of group `verl.plugins`: verl imports this module in each of its processes.

A separate module, because vLLM imports `mt_grpo_recipe.cpu` before verl in its engine process: registering on that
import would start verl, which would load its plugins while this one is half imported.
"""

from mt_grpo_recipe.cpu import register_platform
from mt_grpo_recipe.plugin_loading import loud_import

with loud_import("cpu_platform"):
    register_platform()
