"""The most memory that processes had since a moment, from Linux's account of it."""

import contextlib
import re
import resource
from collections.abc import Iterable


def forget_peak() -> None:
    """Begins anew: the peak is now what the process has. Does nothing where Linux forbids it."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_bytes(children: Iterable[int] = ()) -> int:
    """The peak since `forget_peak`, in bytes; since the start of the process where that failed.

    Args:
        children: Numbers of processes whose own peaks are added; of memory that they share with
            this one only what they have of it now is taken off, so it is rather too much.
    """
    own = _peak("self") or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for child in map(str, children):
        own += max(_peak(child) - _status_bytes(child, "RssShmem"), 0)
    return own


def _peak(process: str) -> int:
    return _status_bytes(process, "VmHWM")


def _status_bytes(process: str, name: str) -> int:
    """A value of the status of a process; 0 where there is none, or the process is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/status") as file:
        if match := re.search(rf"^{name}:\s*(\d+) kB$", file.read(), re.MULTILINE):
            return 1024 * int(match[1])
    return 0
