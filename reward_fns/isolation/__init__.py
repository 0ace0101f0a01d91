"""Calling code that may not return: in a helper process, with limits on its CPU time and memory.

Symbolic mathematics has no time bound: comparing 3 with 9^(9^(9^9)) runs until it is killed. Timeouts by signal work
only in the main thread, and verl scores in threads. So such calls go to a helper, one per process, which is killed by
its own timer when a call takes too long and restarted at the next call. CPU time is measured, not clock time, so a busy
machine changes no reward. The helper bounds resources; it is not a sandbox for hostile *code*.
"""

from reward_fns.isolation.caller import IsolatedCallError, call

__all__ = ["IsolatedCallError", "call"]
