"""Entry point `mt_grpo` of group `verl.plugins`: registers estimator, loss and trainer with verl 0.9.1, and the
package's configs with Hydra.

verl imports this package in every process and logs its failures at level DEBUG only, so failures are reported here.
Most processes (reward workers, the engine, the queue) need none of it: code that registers something with a module of
verl is imported only once that module is, which saves each of them seconds of start-up and 190 MB.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import wrapt

from mt_grpo_recipe.cpu import register_platform
from mt_grpo_recipe.plugin_loading import loud_import
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version
from mt_grpo_recipe.verl_plugin.search_path import register_search_path

logger = logging.getLogger(__name__)

REGISTERED_WITH = {
    "verl.trainer.ppo.core_algos": ("advantage", "policy_loss"),
    "verl.trainer.ppo.v1.trainer_base": ("trainer", "async_trainer"),
}
"""Module of verl -> modules of this package that register something with it when they are imported."""


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
        # The platform must be known before the trainer's imports ask verl for the device.
        register_platform()
        register_search_path()
        for module in REGISTERED_WITH:
            wrapt.register_post_import_hook(_register_with, module)


def _register_with(module: ModuleType) -> None:
    """Import what registers with a module of verl that was just imported, unless ours is what imported it."""
    ours = [f"{__name__}.{name}" for name in REGISTERED_WITH[module.__name__]]
    if not sys.modules.keys() & ours:
        # A failure is reported and goes no further, as at the entry point: other trainers can still be used.
        with suppress(Exception), loud_import("mt_grpo"):
            for name in ours:
                import_module(name)


register()
