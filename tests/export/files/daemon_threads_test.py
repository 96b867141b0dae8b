"""Threads that nobody waits for."""

import concurrent.futures
import threading

import pytest

from export.files.daemon_threads import DaemonThreadPool, call_within


def test_calls_give_their_results_and_errors():
    with DaemonThreadPool(3) as pool:
        assert list(pool.map(abs, range(-20, 0))) == list(range(20, 0, -1))
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()


def test_a_pool_can_be_left_while_a_thread_hangs():
    release, started = threading.Event(), threading.Event()

    def hang():
        started.set()
        return release.wait(20)

    pool = DaemonThreadPool(1)
    hanging, waiting = pool.submit(hang), pool.submit(abs, -1)
    assert started.wait(20)
    pool.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled() and not hanging.done()
    release.set()
    pool.shutdown()
    assert hanging.result() is True


def test_a_call_has_a_limit_of_its_time():
    release = threading.Event()
    assert call_within(20, lambda: "done") == "done"
    with pytest.raises(KeyError):
        call_within(20, {}.popitem)
    with pytest.raises(concurrent.futures.TimeoutError):
        call_within(0.01, lambda: release.wait(20))
    release.set()
