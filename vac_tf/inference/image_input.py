"""An image as users have it: a path, a URL, encoded bytes, a Pillow image or an array."""

import dataclasses
import http.client
import io
import os
import urllib.request
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from vac_tf.inputs.decoding import decode_image, orient
from vac_tf.inputs.exif_orientation import exif_orientation
from vac_tf.inputs.image_source import ImageSettings, one_line

_SECONDS = 60.0
_MOST_BYTES = 1 << 30


class ImageError(ValueError):
    """An image that cannot be used; the message names it and says why."""


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """One image that was given.

    Attributes:
        given: Path or URL (text or `PathLike`), encoded bytes, `PIL.Image.Image`, or what NumPy
            takes as an array `[H, W, 3]`: RGB in 0..255, whole or floating-point numbers.
        name: What messages call it.
        settings: How the network wants it.
    """

    given: Any
    name: str
    settings: ImageSettings

    @classmethod
    def of(cls, given: Any, settings: ImageSettings, number: int | None = None) -> "ImageInput":
        """An image by its path or URL where it has one, else by its `number` in a list."""
        if isinstance(given, os.PathLike):
            given = os.fsdecode(given)
        name = "the image" if number is None else f"images[{number}]"
        return cls(given, given if isinstance(given, str) else name, settings)

    @property
    def is_encoded(self) -> bool:
        """Whether it is a file or what a file holds."""
        return isinstance(self.given, (str, bytes, bytearray, memoryview))

    def fetched(self) -> "ImageInput":
        """The same with the bytes instead of the URL, which is read but once.

        Raises:
            ImageError: it cannot be read.
        """
        if not isinstance(self.given, str) or not self.given.startswith(("http://", "https://")):
            return self
        return dataclasses.replace(self, given=self._read_url())

    def encoded(self) -> tuple[bytes, int]:
        """The bytes of an encoded image, and how it is to be turned (EXIF code 1..8).

        Raises:
            ImageError: it cannot be read.
        """
        contents = self._read_file() if isinstance(self.given, str) else bytes(self.given)
        turned = self.settings.apply_exif_orientation
        return contents, exif_orientation(io.BytesIO(contents)) if turned else 1

    def pixels(self) -> np.ndarray:
        """RGB in 0..255 `[H, W, 3]`, uint8 or (of such an array) float32, upright as trained.

        Raises:
            ImageError: it is no such image.
        """
        if isinstance(self.given, Image.Image):
            return self._picture_pixels(self.given)
        if not self.is_encoded:
            return self._array_pixels()
        contents, orientation = self.encoded()
        try:
            image = decode_image(tf.constant(contents), self.name, self.settings.max_pixels)
        except tf.errors.OpError as error:
            raise self.error(one_line(error)) from error
        return orient(image, orientation).numpy()

    def error(self, reason: str) -> ImageError:
        """The error of this image."""
        return ImageError(f"{self.name} cannot be used: {reason}")

    def _read_file(self):
        try:
            with open(self.given, "rb") as file:
                return file.read()
        except FileNotFoundError as error:
            raise self.error(f"there is no such file in {os.getcwd()!r}") from error
        except IsADirectoryError as error:
            reason = f"it is a folder; give a list: sorted(Path({self.given!r}).glob('*.jpg'))"
            raise self.error(reason) from error
        except (OSError, ValueError) as error:  # A zero byte in the path.
            raise self.error(getattr(error, "strerror", None) or str(error)) from error

    def _read_url(self):
        # Some servers refuse requests that do not say who asks.
        request = urllib.request.Request(self.given, headers={"User-Agent": "vac_tf"})
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:
                contents = response.read(_MOST_BYTES + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self.error(str(error)) from error
        if len(contents) > _MOST_BYTES:
            raise self.error(f"it has more than {_MOST_BYTES} bytes")
        return contents

    def _picture_pixels(self, picture):
        if picture.mode == "F" or picture.mode.startswith("I"):
            reason = f"a Pillow image of mode {picture.mode}; expected 8 bits per channel"
            raise self.error(reason)
        try:
            if self.settings.apply_exif_orientation:
                picture = ImageOps.exif_transpose(picture)
            return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:  # Pillow reads a file only now.
            raise self.error(str(error)) from error

    def _array_pixels(self):
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
