"""The memory of a process and of all that it started."""

import contextlib
import os
import threading
from collections.abc import Collection
from pathlib import Path

ALL = ("Pss:",)
# Without the pages of files, such as libraries: those are divided among all processes of the
# machine that have them open, so that they become more when an unrelated one ends.
WITHOUT_FILES = ("Pss_Anon:", "Pss_Shmem:")


def memory_of_all(process: int, kinds: Collection[str] = ALL) -> int:
    """Bytes of a process and of all below it, what they share divided among them."""
    total = 0
    # Any of them may end meanwhile.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            total += 1024 * int(line.split()[1]) if line.startswith(tuple(kinds)) else 0
        below = Path(f"/proc/{process}/task/{process}/children").read_text()
        total += sum(memory_of_all(int(child), kinds) for child in below.split())
    return total


def require_readable_memory() -> None:
    """For programs that judge memory, before they take long.

    Raises:
        RuntimeError: this process has no memory, as far as can be read: nor would others.
    """
    if not all(memory_of_all(os.getpid(), kinds) for kinds in (ALL, WITHOUT_FILES)):
        raise RuntimeError(
            "The memory of this process reads as 0 bytes: /proc/PID/smaps_rollup must be readable,"
            " as on Linux outside sandboxes that hide it."
        )


class MemoryWatch:
    """Looks again and again at the memory of a process and all below it; a context.

    Attributes:
        seen: Bytes, in the order in which they were seen.

    Args:
        process: Its number.
        seconds: Between two looks.
        kinds: `ALL` or `WITHOUT_FILES`.
    """

    def __init__(self, process: int, seconds: float = 0.2, kinds: Collection[str] = ALL):
        self.seen: list[int] = []
        self._process = process
        self._seconds = seconds
        self._kinds = kinds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    @property
    def peak_bytes(self) -> int:
        """The most that was seen."""
        return max(self.seen, default=0)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._seconds):
            self.seen.append(memory_of_all(self._process, self._kinds))
