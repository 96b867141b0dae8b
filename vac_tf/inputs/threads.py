"""Work on many images at once, in as many threads as this process may use cores."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_parallel(function: Callable[[Any], Any], items: Iterable) -> Iterator:
    """Results in order; what is not wanted any more is not begun.

    Args:
        function: leaves the interpreter to other threads while it works: it decodes an image, or
            computes on arrays.
        items: its arguments.
    """
    with ThreadPoolExecutor(_usable_cores()) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # Not Linux.
