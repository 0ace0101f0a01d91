"""`serve`: the helper process. It imports each requested module once, and forks workers for calls side by side.

Requests come in and replies go out, one per line; replies in the order in which they are ready. A call over its limit
ends its worker: the timer keeps the default action of its signal, which works even inside a long computation in C. The
next worker is a fork with everything imported, which costs milliseconds. No call waits for another as long as a worker
is free.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import resource
import selectors
import signal
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKERS = 32
"""Calls at a time: the most threads in a default thread pool of Python. Further calls wait, the oldest first."""
LONG_SECONDS, LOOK_EVERY = 0.1, 0.05
"""After this CPU time, checked this often, a call goes on at the lowest priority, so as not to slow down quick ones."""
MEMORY_LIMIT_BYTES = 4 << 30
WALL_TO_CPU = 20
"""Clock time that a call may take, as a multiple of its CPU time, in case it waits instead of computing."""


@dataclass
class _Worker:
    """A forked process: where to write its requests and read its replies, and the id of the one it works on.

    `began_at` is the CPU time it had used before that. `slowed` means that it was given the lowest priority: it cannot
    get the old one back, so this call is its last.
    """

    pid: int
    requests: int
    replies: int
    busy_with: int | None = None
    began_at: float = 0.0
    slowed: bool = False


def serve() -> None:
    """Answer requests until standard input ends, which it does when the parent ends; then end the workers too."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError):  # the system's own limit is lower
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, hard))
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not become a reply
    _Dispatcher(replies).run()
    os.killpg(0, signal.SIGKILL)  # the caller gives this process a group of its own; a busy worker would go on


class _Dispatcher:
    """Hands requests to idle workers and their replies to the parent."""

    def __init__(self, replies: Any):
        self.replies = replies
        self.waiting: deque[dict[str, Any]] = deque()
        self.workers: dict[int, _Worker] = {}  # by the descriptor of their replies
        self.buffers: dict[int, bytes] = {0: b""}
        self.events = selectors.DefaultSelector()
        self.events.register(0, selectors.EVENT_READ)

    def run(self) -> None:
        """Until standard input ends."""
        while True:
            for key, _ in self.events.select(self._slow_down_long_calls()):
                received = os.read(key.fd, 1 << 16)
                if not received and key.fd == 0:
                    return
                if not received:
                    self._bury(self.workers.pop(key.fd))
                    continue
                *lines, self.buffers[key.fd] = (self.buffers[key.fd] + received).split(b"\n")
                for line in lines:
                    if key.fd == 0:
                        self.waiting.append(json.loads(line))
                    else:
                        self._finish(self.workers[key.fd], json.loads(line))
            self._hand_out()

    def _slow_down_long_calls(self) -> float | None:
        """Seconds until it is time to check again; None where no running call could become long."""
        busy = [worker for worker in self.workers.values() if worker.busy_with is not None and not worker.slowed]
        for worker in busy:
            if _cpu_seconds(worker.pid) - worker.began_at > LONG_SECONDS:
                os.setpriority(os.PRIO_PROCESS, worker.pid, 19)
                worker.slowed = True
        return LOOK_EVERY if busy else None

    def _hand_out(self) -> None:
        while self.waiting:
            free = (worker for worker in self.workers.values() if worker.busy_with is None and not worker.slowed)
            idle = next(free, None)
            if idle is None and len(self.workers) == WORKERS:
                return
            request = self.waiting.popleft()
            missing = _import_error(request)  # here, so that not every worker has to import it
            if missing:
                self._reply(request["id"], {"missing": missing})
                continue
            worker = idle or self._fork()
            worker.busy_with, worker.began_at = request["id"], _cpu_seconds(worker.pid)
            with contextlib.suppress(BrokenPipeError):  # it died idle: the end of its replies is the next event
                os.write(worker.requests, json.dumps(request).encode() + b"\n")

    def _fork(self) -> _Worker:
        request_end, requests = os.pipe()
        replies, reply_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._close_all(requests, replies)
                _work(request_end, reply_end)
            finally:  # whatever happens, a worker must not go on as a dispatcher
                os._exit(0)
        os.close(request_end)
        os.close(reply_end)
        self.events.register(replies, selectors.EVENT_READ)
        self.buffers[replies] = b""
        self.workers[replies] = _Worker(pid, requests, replies)
        return self.workers[replies]

    def _close_all(self, *more: int) -> None:
        """In a worker: close what belongs to the dispatcher, or other workers' input would not end with it."""
        self.events.close()
        others = [end for worker in self.workers.values() for end in (worker.requests, worker.replies)]
        for descriptor in (0, self.replies.fileno(), *others, *more):
            if descriptor >= 0:
                os.close(descriptor)

    def _finish(self, worker: _Worker, answer: dict[str, Any]) -> None:
        assert worker.busy_with is not None
        self._reply(worker.busy_with, answer)
        worker.busy_with = None
        if worker.slowed:
            os.close(worker.requests)  # it ends, and with it its replies
            worker.requests = -1

    def _bury(self, worker: _Worker) -> None:
        self.events.unregister(worker.replies)
        for descriptor in (worker.requests, worker.replies):
            if descriptor >= 0:
                os.close(descriptor)
        del self.buffers[worker.replies]
        os.waitpid(worker.pid, 0)
        if worker.busy_with is not None:
            self._reply(worker.busy_with, {"stopped": True})

    def _reply(self, number: int, answer: dict[str, Any]) -> None:
        self.replies.write(json.dumps({"id": number, **answer}) + "\n")
        self.replies.flush()


def _cpu_seconds(pid: int) -> float:
    """CPU time that a worker has used, from Linux's /proc; a worker that has died has used none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _import_error(request: dict[str, Any]) -> str | None:
    try:
        _function(request)
    except ImportError as error:
        return str(error)
    except Exception:
        return None  # the worker will say what it is
    return None


def _function(request: dict[str, Any]) -> Any:
    module, _, name = request["function"].partition(":")
    return getattr(importlib.import_module(module), name)


def _work(request_end: int, reply_end: int) -> None:
    """A worker: one request after the other until there are no more."""
    silence = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process
    with os.fdopen(request_end) as requests, os.fdopen(reply_end, "w", encoding="ascii") as replies:
        for line in requests:
            replies.write(json.dumps(_answer(json.loads(line), silence)) + "\n")
            replies.flush()


def _answer(request: dict[str, Any], silence: Any) -> dict[str, Any]:
    try:
        function = _function(request)
        seconds = request["cpu_seconds"]
        signal.setitimer(signal.ITIMER_PROF, seconds)
        faulthandler.dump_traceback_later(seconds * WALL_TO_CPU, exit=True, file=silence)
        return {"result": function(*request["arguments"])}
    except BaseException as error:  # SystemExit too: nothing a library raises may pass for an answer
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
