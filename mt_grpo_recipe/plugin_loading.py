"""How our entry points fail: in plain sight.

verl loads plugins inside a `try` that logs a failure at DEBUG level, so a broken plugin looks like one that was never
installed: the run goes on without it, or stops later at an unknown name.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def loud_import(plugin: str) -> Iterator[None]:
    """Report whatever stops the body of an entry point, then let it go on to verl, which swallows it.

    Args:
        plugin: the entry point's name in the group `verl.plugins`, for the message.
    """
    try:
        yield
    except Exception as error:
        logger.error(
            "The verl plugin '%s' could not be loaded and is NOT active in this process: %s: %s. "
            "`mt-grpo doctor` says more.",
            plugin,
            type(error).__name__,
            error,
        )
        raise
