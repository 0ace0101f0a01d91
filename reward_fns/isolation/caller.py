"""`call`: this side of the helper process, which starts it, asks it and stops it."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from reward_fns.isolation.helper import serve
serve()
"""


class IsolatedCallError(RuntimeError):
    """The call was stopped at its limit, or raised; the message says which."""


def call(function: str, *arguments: Any, cpu_seconds: float) -> Any:
    """The result of `function` ("module:name") for these arguments, computed in the helper; JSON both ways.

    Importing the module does not count towards `cpu_seconds`. Calls from several threads take turns.

    Raises IsolatedCallError when the limit was reached, the helper died or the function raised; ImportError when the
    helper cannot import the module.
    """
    request = json.dumps({"function": function, "arguments": arguments, "cpu_seconds": cpu_seconds})
    with _lock:
        try:
            reply = _exchange(request)
        except BaseException:  # KeyboardInterrupt included: a reply left in the pipe would answer the next question
            _stop()
            raise
        if not reply:
            _stop()
            raise IsolatedCallError(f"{function} was stopped: over {cpu_seconds} s of CPU time, or the helper died")
    answer = json.loads(reply)
    if "missing" in answer:
        raise ImportError(answer["missing"])
    if "error" in answer:
        raise IsolatedCallError(f"{function} failed: {answer['error']}")
    return answer["result"]


_lock = threading.Lock()
_helper: subprocess.Popen[str] | None = None
_owner_pid = 0


def _exchange(request: str) -> str:
    global _helper, _owner_pid
    if _helper is None or _owner_pid != os.getpid():  # a forked process must not share its parent's pipes
        _helper = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
        )
        _owner_pid = os.getpid()
    assert _helper.stdin and _helper.stdout
    try:
        _helper.stdin.write(request + "\n")
        _helper.stdin.flush()
        return _helper.stdout.readline()
    except BrokenPipeError:
        return ""


def _stop() -> None:
    global _helper
    helper, _helper = _helper, None
    if helper is not None and _owner_pid == os.getpid():
        helper.kill()
        with contextlib.suppress(BrokenPipeError):
            helper.communicate()


atexit.register(_stop)
