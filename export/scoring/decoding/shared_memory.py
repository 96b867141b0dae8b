"""Memory that a process shares with those to which it gives a descriptor of it.

Of anonymous files (memfd): they need no room in /dev/shm, which containers keep small, have no name
that could be left behind, and go with the last process that has them. As of any other memory, what
is not used yet takes none.
"""

import contextlib
import math
import mmap
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike


def make_memory(name: str, size: int) -> int:
    """A descriptor of new memory, all zeros.

    Args:
        name: For /proc/PID/maps.
        size: Bytes.

    Raises:
        OSError: where the system does not allow it, or as much of it.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no shared memory without a name (memfd_create)")
    with _naming(size):
        descriptor = os.memfd_create(name)
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


def map_array(descriptor: int, shape: Sequence[int], dtype: DTypeLike) -> np.ndarray:
    """The memory of a descriptor as an array, which keeps it also when the descriptor is closed.

    Raises:
        OSError: where the process may not have as much.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    with _naming(size):
        memory = mmap.mmap(descriptor, size)
    return np.frombuffer(memory, dtype).reshape(shape)


@contextlib.contextmanager
def _naming(size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{size / 2**20:.0f} MiB of shared memory cannot be had: {error.strerror}"
        raise OSError(what) from error
