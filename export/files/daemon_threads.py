"""Threads that a process does not wait for when it ends, whatever they hang in.

Those of `concurrent.futures` are joined at the end of the process: one that reads from a server
which does not answer would keep it alive, and Ctrl-C without effect.
"""

import concurrent.futures
import queue
import threading
from collections.abc import Callable
from typing import Any


class DaemonThreadPool(concurrent.futures.Executor):
    """As `concurrent.futures.ThreadPoolExecutor`, of daemon threads.

    Args:
        threads: Their number.
    """

    def __init__(self, threads: int):
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable, /, *arguments: Any, **options: Any):
        """Queues a call and returns its future."""
        future = concurrent.futures.Future()
        self._calls.put((future, function, arguments, options))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads behind what is queued, or behind the calls that are running."""
        while cancel_futures:
            try:
                self._calls.get_nowait()[0].cancel()
            except queue.Empty:
                break
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _run(*call)
            del call  # Its result is large, and the next call may be long in coming.


def call_within(seconds: float, function: Callable[[], Any]) -> Any:
    """What `function` returns, or raises, in a thread that is left behind when it takes longer.

    Raises:
        TimeoutError: when it takes longer.
    """
    future = concurrent.futures.Future()
    threading.Thread(target=_run, args=(future, function, (), {}), daemon=True).start()
    return future.result(seconds)


def _run(future: concurrent.futures.Future, function: Callable, arguments: tuple, options: dict):
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*arguments, **options)
    except BaseException as error:  # Raised again where the result is asked for.
        future.set_exception(error)
    else:
        future.set_result(result)
