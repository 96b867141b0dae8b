"""The memory of a process and of all that it started."""

import contextlib
import os
import threading
from pathlib import Path


def memory_of_all(process: int) -> int:
    """Bytes of a process and of all below it, what they share divided among them."""
    total = 0
    # Any of them may end meanwhile.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            total += 1024 * int(line.split()[1]) if line.startswith("Pss:") else 0
        below = Path(f"/proc/{process}/task/{process}/children").read_text()
        total += sum(memory_of_all(int(child)) for child in below.split())
    return total


def require_readable_memory() -> None:
    """For programs that judge memory, before they take long.

    Raises:
        RuntimeError: this process has no memory, as far as can be read: nor would others.
    """
    if not memory_of_all(os.getpid()):
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
    """

    def __init__(self, process: int, seconds: float = 0.2):
        self.seen: list[int] = []
        self._process = process
        self._seconds = seconds
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
            self.seen.append(memory_of_all(self._process))
