"""What this process may use of its host: cores and memory as Linux limits them, and a GPU."""

import glob
import os
from collections.abc import Iterator

_OWN_CGROUP = "/proc/self/cgroup"
_CGROUPS = "/sys/fs/cgroup"
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def available_cores() -> int:
    """Logical cores: those of the process's affinity, within the CPU quota of its cgroup (v2)."""
    return _within_quota(len(_affinity()))


def physical_cores() -> int:
    """The same, counting hardware threads of one core once."""
    cores = {_first_line(_SIBLINGS.format(core)) or str(core) for core in _affinity()}
    return _within_quota(len(cores))


def available_memory() -> int:
    """Bytes: the host's memory, within the limit of the process's cgroup (v2)."""
    limits = [int(text) for text in _cgroup_values("memory.max") if text != "max"]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def gpu_is_visible() -> bool:
    """Whether the NVIDIA driver shows a GPU that CUDA_VISIBLE_DEVICES does not hide."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    # The last is a GPU under the Windows Subsystem for Linux.
    devices = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*", "/dev/dxg")
    return any(glob.glob(pattern) for pattern in devices)


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))  # Not Linux.


def _within_quota(cores: int) -> int:
    """So many cores, or those that the quota keeps busy, rounded up to whole ones."""
    quotas = [text.split() for text in _cgroup_values("cpu.max")]
    whole = [-(-int(time) // int(period)) for time, period in quotas if time != "max"]
    return min([cores, *whole])


def _cgroup_values(name: str) -> Iterator[str]:
    """What this process's cgroup and all above it say; the smallest counts."""
    try:
        with open(_OWN_CGROUP, encoding="utf-8") as file:
            paths = [line[3:].strip("/\n") for line in file if line.startswith("0::")]
    except OSError:
        return
    for path in paths:
        parts = path.split("/") if path else []
        for length in range(len(parts), -1, -1):
            value = _first_line("/".join([_CGROUPS, *parts[:length], name]))
            if value:
                yield value


def _first_line(path: str) -> str:
    """Empty where the kernel or the container does not show the file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""
