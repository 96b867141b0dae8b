"""Whether the images of one training step fit into this host's memory."""

import os
from collections.abc import Sequence
from pathlib import Path

_BYTES_PER_PIXEL = 3 * 4  # float32 RGB
_GIB = 2**30


class StepTooLargeError(ValueError):
    """The images of one step alone exceed the memory."""


def host_memory() -> int:
    """Bytes of this host's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> int:
    """Bytes that a new process of this host, or of its container, can have."""
    with open("/proc/meminfo", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("MemAvailable:"))
    available = int(line.split()[1]) * 1024  # Said in kB, which are KiB.
    try:
        limit, used = (
            Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current")
        )
    except OSError:
        return available  # No container, or one of the first version of control groups.
    return available if limit == "max" else min(available, int(limit) - int(used))


def check_step_memory(num_images: int, sides: Sequence[int]) -> None:
    """Refuses a step whose images alone exceed the memory.

    TensorFlow would try to allocate them for minutes, in which no signal ends it. A step that
    passes may still be too large: its activations are not counted.

    Args:
        num_images: Images of the step.
        sides: Height and width in pixels of each view of an image.

    Raises:
        StepTooLargeError: saying what the images take, and what this host has.
    """
    needed = num_images * sum(side * side for side in sides) * _BYTES_PER_PIXEL
    memory = host_memory()
    if needed > memory:
        views = f" in {len(sides)} views" if len(sides) > 1 else ""
        raise StepTooLargeError(
            f"One step does not fit into the memory: its {num_images} images of"
            f" {sides[0]}x{sides[0]} pixels{views} take {needed / _GIB:.3g} GiB, without the"
            f" network's activations, and this host has {memory / _GIB:.3g} GiB. Use a smaller"
            " --batch_size, --image_size or scale."
        )
