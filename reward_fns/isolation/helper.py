"""`serve`: the helper process. One request per line in, one reply per line out; a call that is too slow ends it.

The timer keeps the default action of its signal, which ends the process even inside a long computation in C.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any

MEMORY_LIMIT_BYTES = 4 << 30
WALL_TO_CPU = 20
"""Clock time a call may take as a multiple of its CPU time, for one that waits instead of computing."""


def serve() -> None:
    """Answer requests until standard input ends, which it does when the parent ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError):  # the system's own limit is lower
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, hard))
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not become a reply
    silence = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process
    for line in sys.stdin:
        replies.write(json.dumps(_answer(json.loads(line), silence)) + "\n")
        replies.flush()


def _answer(request: dict[str, Any], silence: Any) -> dict[str, Any]:
    module, _, name = request["function"].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        return {"missing": str(error)}
    seconds = request["cpu_seconds"]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(seconds * WALL_TO_CPU, exit=True, file=silence)
    try:
        return {"result": function(*request["arguments"])}
    except BaseException as error:  # SystemExit too: nothing a library raises may pass for an answer
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
