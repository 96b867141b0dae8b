"""The memory that decoding takes: how much one image needs, and how much all may have at once."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol

from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError
from export.images.preprocessing import check_box, checked_header

# Measured at its peak from decoding to resizing: 10 to 14 for JPEG, PNG, GIF and BMP, 18 when
# turned by EXIF, 20 for a progressive JPEG that Pillow decodes, 22 for WebP. Some MiB a decoder for
# strips of floats (`export.images.bilinear`) come on top, whatever the image.
BYTES_PER_PIXEL = 24
# Of an image that is resized in one direction only: float32 RGB, twice.
_BYTES_PER_NARROW_PIXEL = 24
_MIB = 2**20


def decoding_bytes(
    data: bytes, preprocessing: Preprocessing, box: tuple[float, ...] | None = None
) -> int:
    """Bytes that an image takes from its file to the network's input, at most.

    Args:
        data: The encoded image.
        preprocessing: What the model wants.
        box: Optional x, y, width, height in pixels of the decoded image.

    Raises:
        ImageError: where decoding would: what is refused takes no memory.
    """
    if box is not None:
        check_box(box)
    header = checked_header(data, preprocessing.max_pixels)
    pixels, rows = header.width * header.height, max(header.width, header.height)
    # A box of more pixels than the limit is refused later.
    if box is not None and box[2] * box[3] <= preprocessing.max_pixels:
        pixels, rows = pixels + int(box[2] * box[3]), max(rows, int(box[3]))
    narrow = _BYTES_PER_NARROW_PIXEL * rows * preprocessing.width
    return len(data) + BYTES_PER_PIXEL * pixels + narrow


def check_fits(count: int, most_bytes: int) -> None:
    """Raises ImageError with `out_of_memory` for more bytes than there are in all."""
    if count > most_bytes:
        raise ImageError(
            "out_of_memory",
            f"Decoding it takes up to {count / _MIB:.0f} MiB, more than --decoding_memory_mb of"
            f" {most_bytes / _MIB:.0f} MiB.",
        )


class Budget(Protocol):
    """Bytes that decoders share: threads (`MemoryBudget`) or processes."""

    def hold(self, count: int) -> contextlib.AbstractContextManager[None]:
        """Holds `count` bytes while the body runs.

        Raises:
            ImageError: `out_of_memory` for more than there are in all.
        """


class MemoryBudget:
    """Bytes that threads share; each waits until what it needs is free.

    Args:
        most_bytes: All that may be held at one time.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self._held = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Holds `count` bytes.

        Raises:
            ImageError: `out_of_memory` for more than there are in all.
        """
        check_fits(count, self._most_bytes)
        with self._changed:
            self._changed.wait_for(lambda: self._held + count <= self._most_bytes)
            self._held += count
        try:
            yield
        finally:
            with self._changed:
                self._held -= count
                self._changed.notify_all()
