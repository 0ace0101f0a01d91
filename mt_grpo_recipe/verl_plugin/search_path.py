"""Lets Hydra find the package's configs, so that `+mt_grpo=<method>` is all that a training command needs.

The plugin is handed to Hydra when verl is imported, which `python -m verl.trainer.main_ppo` does before Hydra looks for
any config. A module in Hydra's namespace `hydra_plugins` would be imported by every Hydra application in the
environment; this way only those that import verl see our configs.
"""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

CONFIGS = "pkg://mt_grpo_recipe.config"


class MethodSearchPath(SearchPathPlugin):
    """Adds the package's configs after those of the application and of other plugins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the configs; what `hydra.searchpath` names comes after them."""
        search_path.append(provider="mt-grpo-recipe", path=CONFIGS)


def register_search_path() -> None:
    """Hand the plugin to Hydra; a second call changes nothing."""
    Plugins.instance().register(MethodSearchPath)
