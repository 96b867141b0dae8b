"""Bytes that processes share."""

import contextlib
import fcntl
import time
from collections.abc import Iterator

import numpy as np

from export.images.decoding_memory import check_fits
from export.scoring.decoding.shared_memory import map_array

_PAUSE_SECONDS = 0.002


def map_held_bytes(descriptor: int, processes: int) -> np.ndarray:
    """int64 `[processes]`: what each process holds; 0 for one that died is for others to write."""
    return map_array(descriptor, (processes,), np.int64)


class SharedBudget:
    """As `export.images.decoding_memory.MemoryBudget`, for processes instead of threads.

    Nothing has to be undone for a process that dies but its own entry: the lock is the kernel's,
    which frees it.

    Args:
        descriptor: Of the memory of `map_held_bytes`.
        processes: How many share it.
        place: Which of them this one is.
        most_bytes: All that may be held at one time.
    """

    def __init__(self, descriptor: int, processes: int, place: int, most_bytes: int):
        self._descriptor = descriptor
        self._held = map_held_bytes(descriptor, processes)
        self._place = place
        self._most_bytes = most_bytes

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Holds `count` bytes; one at a time in a process.

        Raises:
            ImageError: `out_of_memory` for more than there are in all.
        """
        check_fits(count, self._most_bytes)
        while not self._take(count):
            time.sleep(_PAUSE_SECONDS)
        try:
            yield
        finally:
            self._held[self._place] = 0

    def _take(self, count: int) -> bool:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            if int(self._held.sum()) + count > self._most_bytes:
                return False
            self._held[self._place] = count
            return True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
