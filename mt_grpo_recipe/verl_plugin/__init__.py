"""Entry point `mt_grpo` of group `verl.plugins`: registers estimator, loss and trainer with verl 0.9.1, and the
package's configs with Hydra.

verl imports this package in every process and hides its failures at level DEBUG, so failures are reported here.
"""

from __future__ import annotations

import logging

from mt_grpo_recipe.cpu import register_platform
from mt_grpo_recipe.plugin_loading import loud_import
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version
from mt_grpo_recipe.verl_plugin.search_path import register_search_path

logger = logging.getLogger(__name__)


def register() -> None:
    """Register with verl what `+mt_grpo=<method>` switches on; log an error and register nothing if that fails."""
    version = installed_verl_version()
    if version != VERL_VERSION:
        logger.error(
            "mt-grpo-recipe works with verl %s, but verl %s is installed: nothing was registered, and "
            "trainer.v1.trainer_mode=mt_grpo will be unknown. Run: pip install verl==%s",
            VERL_VERSION,
            version,
            VERL_VERSION,
        )
        return
    with loud_import("mt_grpo"):
        # The platform has to be known before the trainer's imports ask verl for the device.
        register_platform()
        from mt_grpo_recipe.verl_plugin import advantage, async_trainer, policy_loss, trainer  # noqa: F401

        register_search_path()


register()
