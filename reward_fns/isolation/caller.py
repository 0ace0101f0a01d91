"""`call`: this side of the helper process, which starts it, asks it and stops it."""

import atexit
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
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

    Importing the module does not count towards `cpu_seconds`. Calls from several threads run side by side, up to
    `helper.WORKERS` of them.

    Raises IsolatedCallError when the limit was reached, the helper died or the function raised; ImportError when the
    helper cannot import the module.
    """
    answer = _running_helper().ask({"function": function, "arguments": arguments, "cpu_seconds": cpu_seconds})
    if "missing" in answer:
        raise ImportError(answer["missing"])
    if "error" in answer:
        raise IsolatedCallError(f"{function} failed: {answer['error']}")
    if "result" not in answer:
        raise IsolatedCallError(f"{function} was stopped: over {cpu_seconds} s of CPU time, or the helper died")
    return answer["result"]


class _Helper:
    """The process, and the calls that wait for its replies."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
            start_new_session=True,
        )
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()  # of the pipe and of what waits
        self.alive = True
        threading.Thread(target=self._read_replies, daemon=True).start()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request; {} when the helper dies before it."""
        future: Future[dict[str, Any]] = Future()
        assert self._process.stdin
        with self._lock:
            if not self.alive:
                return {}
            number = next(self._numbers)
            self._waiting[number] = future
            with contextlib.suppress(BrokenPipeError):  # the end of its replies answers
                self._process.stdin.write(json.dumps({"id": number, **request}) + "\n")
                self._process.stdin.flush()
        return future.result()

    def stop(self) -> None:
        """End the process and its workers; calls that wait get {}."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read_replies(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._lock:
                future = self._waiting.pop(answer["id"])
            future.set_result(answer)
        with self._lock:
            self.alive = False
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_result({})
        self._process.wait()


_lock = threading.Lock()
_helper: _Helper | None = None


def _running_helper() -> _Helper:
    global _helper
    with _lock:
        if _helper is None or not _helper.alive:
            _helper = _Helper()
        return _helper


def _stop() -> None:
    global _helper
    helper, _helper = _helper, None
    if helper is not None:
        helper.stop()


def _forget() -> None:
    """In a forked process: the pipes and the thread that reads them are the parent's."""
    global _helper, _lock
    _helper, _lock = None, threading.Lock()


atexit.register(_stop)
os.register_at_fork(after_in_child=_forget)
