"""Whether the images of one training step fit into this host's memory."""

import os
from collections.abc import Sequence

_BYTES_PER_PIXEL = 3 * 4  # float32 RGB
_GIB = 2**30


def host_memory() -> int:
    """Bytes of this host's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_step_memory(num_images: int, sides: Sequence[int]) -> None:
    """Refuses a step whose images alone exceed the memory.

    TensorFlow would try to allocate them for minutes, in which no signal ends it. A step that
    passes may still be too large: its activations are not counted.

    Args:
        num_images: Images of the step.
        sides: Height and width in pixels of each view of an image.

    Raises:
        ValueError: saying what the images take, and what this host has.
    """
    needed = num_images * sum(side * side for side in sides) * _BYTES_PER_PIXEL
    memory = host_memory()
    if needed > memory:
        views = f" in {len(sides)} views" if len(sides) > 1 else ""
        raise ValueError(
            f"One step does not fit into the memory: its {num_images} images of"
            f" {sides[0]}x{sides[0]} pixels{views} take {needed / _GIB:.3g} GiB, without the"
            f" network's activations, and this host has {memory / _GIB:.3g} GiB. Use a smaller"
            " --batch_size, --image_size or scale."
        )
