"""The most memory that this process had since a moment, from Linux's account of it."""

import contextlib
import re
import resource


def forget_peak() -> None:
    """Begins anew: the peak is now what the process has. Does nothing where Linux forbids it."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_bytes() -> int:
    """The peak since `forget_peak`, in bytes; since the start of the process where that failed."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        if match := re.search(r"^VmHWM:\s*(\d+) kB$", file.read(), re.MULTILINE):
            return 1024 * int(match[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
