"""An image as users have it: a path, a URL, encoded bytes, a Pillow image or an array."""

import dataclasses
import os
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from export.bundle.preprocessing import Preprocessing
from export.files.remote_files import is_url
from export.images.image_header import ImageError
from export.images.preprocessing import decode
from export.scoring.sources.image_file import read_image_file


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """One image that was given.

    Attributes:
        given: Path or URL (text or `PathLike`), encoded bytes, `PIL.Image.Image`, or what NumPy
            takes as an array `[H, W, 3]`: RGB in 0..255, whole or floating-point numbers.
        name: What messages call it.
        preprocessing: How the network wants it.
    """

    given: Any
    name: str
    preprocessing: Preprocessing

    @classmethod
    def of(
        cls, given: Any, preprocessing: Preprocessing, number: int | None = None
    ) -> "ImageInput":
        """An image by its path or URL where it has one, else by its `number` in a list."""
        if isinstance(given, os.PathLike):
            given = os.fsdecode(given)
        name = "the image" if number is None else f"images[{number}]"
        return cls(given, given if isinstance(given, str) else name, preprocessing)

    def fetched(self) -> "ImageInput":
        """The same with the bytes instead of the URL, which is read but once.

        Raises:
            ImageError: it cannot be read.
        """
        if not isinstance(self.given, str) or not is_url(self.given):
            return self
        return dataclasses.replace(self, given=self._read_file())

    def pixels(self) -> np.ndarray:
        """RGB in 0..255 `[H, W, 3]`, uint8 or (of such an array) float32, upright as trained.

        Raises:
            ImageError: it is no such image.
        """
        if isinstance(self.given, Image.Image):
            return self._picture_pixels(self.given)
        if not isinstance(self.given, (str, bytes, bytearray, memoryview)):
            return self._array_pixels()
        contents = self._read_file() if isinstance(self.given, str) else bytes(self.given)
        size = self.preprocessing
        try:
            return decode(contents, size.max_pixels, size.apply_exif_orientation)
        except ImageError as error:
            raise self.error(str(error), error.status) from error

    def error(self, reason: str, status: str = "unreadable") -> ImageError:
        """The error of this image."""
        return ImageError(status, f"{self.name} cannot be used: {reason}")

    def _read_file(self) -> bytes:
        if os.path.isdir(self.given):
            reason = f"it is a folder; give a list: sorted(Path({self.given!r}).glob('*.jpg'))"
            raise self.error(reason)
        try:
            return read_image_file(self.given)
        except ImageError as error:
            raise self.error(str(error), error.status) from error

    def _picture_pixels(self, picture: Image.Image) -> np.ndarray:
        if picture.mode == "F" or picture.mode.startswith("I"):
            reason = f"a Pillow image of mode {picture.mode}; expected 8 bits per channel"
            raise self.error(reason, "unsupported")
        try:
            if self.preprocessing.apply_exif_orientation:
                picture = ImageOps.exif_transpose(picture)
            return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:  # Pillow reads a file only now.
            raise self.error(str(error)) from error

    def _array_pixels(self) -> np.ndarray:
        if not hasattr(self.given, "__array__"):
            raise self.error(
                f"got {type(self.given).__name__}; expected a path, a URL, bytes, a Pillow image,"
                " an array [height, width, 3], or a list of these"
            )
        values = np.asarray(self.given)
        shape, kind = values.shape, values.dtype.kind
        if len(shape) != 3 or shape[2] != 3 or not values.size or kind not in "uif":
            hint = "; move its channels to the end: np.moveaxis(image, 0, -1)"
            raise self.error(
                f"an array of {values.dtype} and shape {shape}; expected RGB [height, width, 3] in"
                f" 0..255{hint if len(shape) == 3 and shape[0] == 3 else ''}"
            )
        lowest, highest = float(values.min()), float(values.max())
        if not (0.0 <= lowest and highest <= 255.0):
            raise self.error(f"its values are {lowest:g} to {highest:g}; expected 0..255")
        if kind != "f":
            return values.astype(np.uint8, copy=False)
        if 0.0 < highest <= 1.0:
            raise self.error("its values are in 0..1; expected 0..255: multiply it by 255")
        return values.astype(np.float32, copy=False)


def are_several(given: Any) -> bool:
    """Whether it is a list of images: also a stack `[N, H, W, 3]`, or a column of a table."""
    if isinstance(given, memoryview):  # Bytes, which have an axis too.
        return False
    return isinstance(given, (list, tuple)) or getattr(given, "ndim", 0) in (1, 4)
