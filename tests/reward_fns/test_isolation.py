"""The helper process: results, limits, errors, and that one bad call does not spoil the next."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

from reward_fns.isolation import IsolatedCallError, call, caller, helper


def test_a_result_comes_back_as_json_would_bring_it():
    assert call("operator:add", [1, "\ud800\n"], [None], cpu_seconds=5) == [1, "\ud800\n", None]


def test_a_call_that_does_not_end_is_stopped_and_the_next_one_works():
    with pytest.raises(IsolatedCallError, match=r"stopped: over 0\.3 s"):
        call("operator:pow", 7, 10**8, cpu_seconds=0.3)
    assert call("operator:add", 1, 2, cpu_seconds=5) == 3


def test_memory_is_limited():
    with pytest.raises(IsolatedCallError, match="MemoryError"):
        call("operator:mul", [0], 10**10, cpu_seconds=5)


def test_an_exception_is_named():
    with pytest.raises(IsolatedCallError, match="ZeroDivisionError"):
        call("operator:floordiv", 1, 0, cpu_seconds=5)
    with pytest.raises(IsolatedCallError, match="SystemExit"):
        call("sys:exit", 3, cpu_seconds=5)


def test_a_missing_module_is_an_import_error():
    with pytest.raises(ImportError, match="no_such_module"):
        call("no_such_module:f", cpu_seconds=5)


def test_what_a_function_prints_is_not_taken_for_its_result():
    assert call("builtins:print", '{"result": 1}', cpu_seconds=5) is None


def test_a_helper_that_dies_is_replaced():
    with pytest.raises(IsolatedCallError, match="the helper died"):
        call("os:_exit", 0, cpu_seconds=5)
    assert call("operator:add", 1, 2, cpu_seconds=5) == 3


def test_threads_get_their_own_answers():
    results = {}

    def work(number):
        results[number] = [call("operator:add", number, 0, cpu_seconds=5) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number] * 20 for number in range(8)}


def endless(ended):
    """A call that does not end by itself; sets the event when it is ended."""
    try:
        call("operator:pow", 7, 10**8, cpu_seconds=500)
    except IsolatedCallError:
        ended.set()


def test_a_quick_call_does_not_wait_for_those_that_do_not_end():
    """The order is what counts here, not the time: the quick one is back while all the others run."""
    ends = [threading.Event() for _ in range(helper.WORKERS - 1)]
    threads = [threading.Thread(target=endless, args=(ended,)) for ended in ends]
    for thread in threads:
        thread.start()
    try:
        assert call("operator:add", 1, 2, cpu_seconds=5) == 3
        assert not any(ended.is_set() for ended in ends)
    finally:
        caller._stop()
    for thread in threads:
        thread.join()
    assert all(ended.is_set() for ended in ends)  # none hangs when the helper ends


def test_more_calls_than_workers_take_turns():
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(call("operator:add", n, 0, cpu_seconds=5)))
        for n in range(3 * helper.WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(3 * helper.WORKERS))


def test_after_a_stopped_call_the_next_worker_comes_from_the_same_process():
    dispatcher, worker = call("os:getppid", cpu_seconds=5), call("os:getpid", cpu_seconds=5)
    with pytest.raises(IsolatedCallError, match="was stopped"):
        call("operator:pow", 7, 10**8, cpu_seconds=0.1)
    assert call("os:getppid", cpu_seconds=5) == dispatcher  # so nothing is imported again
    assert call("os:getpid", cpu_seconds=5) != worker


def test_a_forked_process_has_a_helper_of_its_own():
    mine = call("os:getppid", cpu_seconds=5)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        assert pool.submit(call, "os:getppid", cpu_seconds=5).result() != mine
    assert call("os:getppid", cpu_seconds=5) == mine
