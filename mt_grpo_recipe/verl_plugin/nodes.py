"""Refuses a run across several machines if one of them lacks the plugin."""

from __future__ import annotations

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version


@ray.remote(num_cpus=0)
def _plugin_problem() -> str | None:
    """Run on a Ray node: say why the plugin does not work there, or None."""
    try:
        from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    except ImportError as error:
        return f"verl cannot be imported: {error}"
    if installed_verl_version() != VERL_VERSION:
        return f"verl {installed_verl_version()} is installed instead of {VERL_VERSION}"
    return (
        None if "mt_grpo" in TRAINER_REGISTRY else "the plugin is installed but could not register (see the log there)"
    )


def check_nodes() -> None:
    """Refuse to start while a node of the Ray cluster lacks the plugin.

    Raises:
        ConfigError: names each node and what is wrong with it.
    """
    problems = []
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return  # This process runs on the only node, with the plugin.
    checks = {
        node["NodeManagerAddress"]: _plugin_problem.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    }
    for address, check in checks.items():
        try:
            problem = ray.get(check)
        except RayError as error:
            # A missing package shows as a failure to load the task itself.
            problem = f"mt-grpo-recipe cannot be imported ({type(error).__name__})"
        if problem:
            problems.append(f"{address}: {problem}")
    if problems:
        raise ConfigError(
            "mt-grpo-recipe does not work on every machine of the Ray cluster. "
            + "; ".join(problems)
            + ". In the environment that Ray uses there, install the checkout of this project: pip install -e CHECKOUT."
        )
