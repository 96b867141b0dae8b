"""The decoded images of a split, by index: from files, from memory or from a cache folder."""

import dataclasses
import hashlib
import os
import re
import struct
import threading

import numpy as np
import tensorflow as tf
from PIL import Image

from vac_tf.datasets.split import DatasetError, Split
from vac_tf.geometry.boxes import crop_boxes
from vac_tf.geometry.resizing import resize_images
from vac_tf.inputs.decoding import crop, decode_image, orient
from vac_tf.inputs.threads import in_parallel

_EXIF_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class ImageSettings:
    """How image files become network inputs; the same in training, evaluation and export."""

    image_size: int
    resize_kernel: str = "bilinear"
    max_pixels: int = 89_478_485
    apply_exif_orientation: bool = False

    def __post_init__(self):
        readable = 2 * Image.MAX_IMAGE_PIXELS
        if self.apply_exif_orientation and self.max_pixels > readable:
            raise ValueError(
                f"apply_exif_orientation reads images of at most {readable} pixels, got max_pixels"
                f" {self.max_pixels}."
            )


class ImageSource:
    """Loads the images of a split: decode, turn, crop, and (`resized`) resize.

    Args:
        split: The split whose rows are loaded by index.
        settings: How they are decoded and resized.
        cache: `"none"` decodes at every use, `"memory"` and `"disk"` decode once, now.
        cache_dir: Folder of the disk cache; files are keyed by path, size, time and crop.

    Raises:
        DatasetError: naming the first unreadable image, when a cache is filled.
    """

    def __init__(self, split: Split, settings: ImageSettings, cache="none", cache_dir=""):
        self.split = split
        self.settings = settings
        self._paths = tf.constant(list(split.image_paths), tf.string)
        self._has_boxes = split.boxes is not None
        corners = crop_boxes(split.boxes) if self._has_boxes else np.zeros((len(split), 4))
        self._corners = tf.constant(corners.astype("int64"))
        self._orientations = None
        if settings.apply_exif_orientation:
            codes = list(in_parallel(_exif_orientation, split.image_paths))
            self._orientations = tf.constant(codes, tf.int32)
        self._cached = None
        if cache == "memory":
            self._cached = tf.constant(self._decode_all(self._serialized), tf.string)
        elif cache == "disk":
            os.makedirs(cache_dir, exist_ok=True)
            self._paths = tf.constant(
                self._decode_all(lambda index: self._cache_file(index, cache_dir)), tf.string
            )
        self._is_disk_cache = cache == "disk"

    def load(self, index):
        """uint8 `[H, W, 3]`: the image of row `index` (scalar int), upright and cropped."""
        if self._cached is not None:
            return self._parse(self._cached[index])
        if self._is_disk_cache:
            return self._parse(tf.io.read_file(self._paths[index]))
        return self._decode(index)

    def resized(self, index):
        """float32 `[image_size, image_size, 3]` in 0..255: the input of the network."""
        (image,) = self.views(index, (self.settings.image_size,))
        return image

    def views(self, index, sizes: tuple[int, ...]) -> list:
        """The photograph of row `index`, loaded once, resized to each size: float32 in 0..255."""
        photograph = self.load(index)
        kernel = self.settings.resize_kernel
        return [
            tf.ensure_shape(resize_images(photograph, size, kernel), (size, size, 3))
            for size in sizes
        ]

    def find_bad_images(self, first_only=False) -> list[tuple[int, str]]:
        """Rows that cannot be loaded and why, in row order, by opening every image."""
        bad = []
        for index, reason in enumerate(in_parallel(self._reason, range(len(self.split)))):
            if reason:
                bad.append((index, reason))
                if first_only:
                    break
        return bad

    def check_first_image(self) -> None:
        """Raises DatasetError when the first image cannot be loaded, as where all cannot."""
        reason = self._reason(0)
        if reason:
            raise unusable_image(self.split.image_paths[0], reason)

    def _decode(self, index):
        path = self._paths[index]
        image = decode_image(tf.io.read_file(path), path, self.settings.max_pixels)
        if self._orientations is not None:
            image = orient(image, self._orientations[index])
        if not self._has_boxes:
            return image
        return crop(image, self._corners[index], path, self.settings.max_pixels)

    def _reason(self, index):
        try:
            self.load(index)
        except tf.errors.OpError as error:
            return _one_line(error)
        return ""

    def _decode_all(self, store):
        def stored(index):
            try:
                return store(index)
            except tf.errors.OpError as error:
                raise unusable_image(self.split.image_paths[index], _one_line(error)) from error

        return list(in_parallel(stored, range(len(self.split))))

    def _serialized(self, index):
        return tf.io.serialize_tensor(self._decode(index)).numpy()

    @staticmethod
    def _parse(serialized):
        return tf.ensure_shape(tf.io.parse_tensor(serialized, tf.uint8), (None, None, 3))

    def _cache_file(self, index, cache_dir):
        path = self.split.image_paths[index]
        corners = self._corners[index].numpy().tolist() if self._has_boxes else None
        try:
            stat = os.stat(path)
        except OSError as error:
            raise unusable_image(path, error.strerror) from error
        upright = self.settings.apply_exif_orientation
        key = repr((os.path.abspath(path), stat.st_size, stat.st_mtime_ns, corners, upright))
        file = os.path.join(cache_dir, hashlib.sha256(key.encode()).hexdigest() + ".tensor")
        if not os.path.exists(file):
            # An image may stand in several rows, which are written at the same time.
            partial = f"{file}.{os.getpid()}.{threading.get_ident()}.partial"
            try:
                with open(partial, "wb") as stream:
                    stream.write(self._serialized(index))
                os.replace(partial, file)
            finally:
                if os.path.exists(partial):
                    os.remove(partial)
        return file


def unusable_image(path: str, reason: str) -> DatasetError:
    """The error of a training that meets an image it cannot load."""
    return DatasetError(
        f"{path} cannot be used: {reason}. Mend or remove the file, or leave such images out with"
        " --skip_bad_images."
    )


def _one_line(error):
    """The message of a TensorFlow error without the names of nodes and operations."""
    return " ".join(re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error.message)).split())


def _exif_orientation(path):
    try:
        with Image.open(path) as image:
            code = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, Image.DecompressionBombError):
        return 1  # The decoder reports unreadable and too large files, with the reason.
    except (ValueError, SyntaxError):  # Pillow refuses a PNG for metadata that libpng leaves out.
        code = _orientation_chunk(path)
    return code if code in range(1, 9) else 1  # A damaged tag may hold anything.


def _orientation_chunk(path):
    """The EXIF orientation of a PNG, from its own chunk alone; None without one."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", start)
            if name == b"eXIf":
                exif = Image.Exif()
                exif.load(file.read(length))
                return exif.get(_EXIF_ORIENTATION)
            file.seek(length + 4, os.SEEK_CUR)
    return None
