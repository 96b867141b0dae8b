"""The folder beside a page for pictures that would make the page too large."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import numpy as np

from vac_tf.pages.inline_pictures import picture_bytes


class PictureFiles:
    """Writes numbered JPEG files; the folder is made with the first one."""

    def __init__(self, folder: str, name: str):
        self._folder = folder
        self._name = name
        self._count = 0

    def add(self, pixels: np.ndarray) -> str:
        """The address of a picture as the page beside the folder names it.

        Args:
            pixels: `[H, W, 3]` in 0..255.
        """
        os.makedirs(self._folder, exist_ok=True)
        file = f"{self._count:05d}.jpg"
        self._count += 1
        with open(os.path.join(self._folder, file), "wb") as stream:
            stream.write(picture_bytes(pixels))
        return f"{self._name}/{file}"


@contextlib.contextmanager
def new_folder(path: str) -> Iterator[PictureFiles]:
    """A folder of pictures that takes the place of an earlier one once the body has ended well.

    Args:
        path: of the folder; nothing is there afterwards if no picture was added.
    """
    partial = f"{path}.{os.getpid()}.partial"
    try:
        yield PictureFiles(partial, os.path.basename(path))
        if os.path.isdir(path):
            shutil.rmtree(path)
        if os.path.isdir(partial):
            os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
