"""What threads had of the processor, from Linux's account of each."""

import contextlib
import dataclasses
import glob
import os
from collections.abc import Iterable

_TICK_SECONDS = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class ThreadTime:
    """Of one thread since it began.

    Attributes:
        used: Seconds on a core, user and system.
        ready: Seconds in which it could have run and had no core; None where Linux does not say.
    """

    used: float
    ready: float | None


def thread_times(processes: Iterable[int] = ()) -> dict[str, ThreadTime]:
    """The time of each thread, by its folder under /proc.

    Args:
        processes: Numbers of processes of one thread each; none: all threads of this process.
    """
    folders = [f"/proc/{process}" for process in processes] or glob.glob("/proc/self/task/*")
    times = {}
    for folder in folders:
        with contextlib.suppress(OSError):  # It has ended.
            times[folder] = _thread_time(folder)
    return times


def time_between(before: dict[str, ThreadTime], after: dict[str, ThreadTime]) -> ThreadTime:
    """The sum over the threads that were there both times."""
    pairs = [(before[folder], after[folder]) for folder in before.keys() & after.keys()]
    used = sum(end.used - start.used for start, end in pairs)
    ready = 0.0
    for start, end in pairs:
        if start.ready is None or end.ready is None:
            return ThreadTime(used, None)
        ready += end.ready - start.ready
    return ThreadTime(used, ready)


def _thread_time(folder: str) -> ThreadTime:
    if os.path.exists(f"{folder}/schedstat"):
        with open(f"{folder}/schedstat", encoding="ascii") as file:
            used, ready, _ = map(int, file.read().split())
        return ThreadTime(1e-9 * used, 1e-9 * ready)
    with open(f"{folder}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()  # The name before may hold anything.
    return ThreadTime(_TICK_SECONDS * sum(map(int, fields[11:13])), None)
