"""Keeps the plugin's log lines visible."""

import logging
import os


def show_log_lines() -> None:
    """Print what the plugin logs to stderr, from level VERL_LOGGING_LEVEL up (default INFO).

    Importing vLLM's server turns the root handler down to ERROR, in the trainer's process too, which would hide that a
    task is short of its quota.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s:%(asctime)s:%(message)s"))
    ours = logging.getLogger("mt_grpo_recipe")
    ours.handlers = [handler]
    ours.setLevel(os.getenv("VERL_LOGGING_LEVEL", "INFO"))
    ours.propagate = False
