"""The images of a split, by index, as the network takes them: from their files or from a cache."""

import dataclasses
import os
import re

import numpy as np
import tensorflow as tf
from PIL import Image

from vac_tf.datasets.near_duplicates import difference_hashes
from vac_tf.datasets.packed_images import file_of, place_of
from vac_tf.datasets.split import DatasetError, Split
from vac_tf.geometry.boxes import crop_boxes
from vac_tf.geometry.resizing import resize_images
from vac_tf.inputs.decoding import crop, decode_image, orient
from vac_tf.inputs.exif_orientation import exif_orientation
from vac_tf.inputs.image_cache import (
    NO_CACHE,
    ImageCache,
    Pictures,
    keep_in_memory,
    keep_on_disk,
)
from vac_tf.inputs.packed_contents import packed_contents
from vac_tf.inputs.threads import in_parallel

# Raised with every change of how pixels are made, so that no cache of older ones is read.
_VERSION = 1


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
        cache: Whether they are kept, and as what. Files are keyed by path, size, time and crop.
        round_inputs: Round resized pixels to whole grey levels, at most half a level off.

    Raises:
        DatasetError: naming the first unreadable image, when a cache is filled.
        ValueError, OSError: the cache does not fit, or cannot be written.
    """

    def __init__(
        self,
        split: Split,
        settings: ImageSettings,
        cache: ImageCache = NO_CACHE,
        round_inputs: bool = False,
    ):
        self.split = split
        self.settings = settings
        self._round_inputs = round_inputs
        self._paths = tf.constant([os.fsencode(path) for path in split.image_paths], tf.string)
        self._is_packed = any(place_of(path) for path in split.image_paths)
        self._has_boxes = split.boxes is not None
        corners = crop_boxes(split.boxes) if self._has_boxes else np.zeros((len(split), 4))
        self._corners = tf.constant(corners.astype("int64"))
        self._orientations = None
        if settings.apply_exif_orientation:
            codes = list(in_parallel(exif_orientation, split.image_paths))
            self._orientations = tf.constant(codes, tf.int32)
        self._kept_sizes = cache.sizes if cache.content == "inputs" else ()
        self._kept = None  # Whatever is read below is read from the files.
        self._kept = self._fill(cache)

    def load(self, index):
        """uint8 `[H, W, 3]`: the image of row `index` (scalar int), upright and cropped."""
        if self._kept and not self._kept_sizes:
            return tf.ensure_shape(self._kept.picture(index), (None, None, 3))
        return self._decode(index)

    def resized(self, index):
        """float32 `[image_size, image_size, 3]` in 0..255: the input of the network."""
        (image,) = self.views(index, (self.settings.image_size,))
        return image

    def views(self, index, sizes: tuple[int, ...]) -> list:
        """The photograph of row `index`, loaded once, resized to each size: float32 in 0..255."""
        if self._kept and set(sizes) <= set(self._kept_sizes):
            columns = [self._kept_sizes.index(size) for size in sizes]
            views = [tf.cast(self._kept.picture(index, each), tf.float32) for each in columns]
        else:
            photograph, kernel = self.load(index), self.settings.resize_kernel
            views = [resize_images(photograph, size, kernel) for size in sizes]
            if self._round_inputs:
                views = [tf.round(view) for view in views]
        return [
            tf.ensure_shape(view, (size, size, 3)) for view, size in zip(views, sizes, strict=True)
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

    def examine(self) -> tuple[list[tuple[int, str]], np.ndarray]:
        """What `find_bad_images` finds, and uint64 `[N]` of `difference_hashes`, 0 for those."""
        reasons, hashes = zip(*in_parallel(self._examined, range(len(self.split))), strict=True)
        bad = [(index, reason) for index, reason in enumerate(reasons) if reason]
        return bad, np.array(hashes, np.uint64)

    def check_first_image(self) -> None:
        """Raises DatasetError when the first image cannot be loaded, as where all cannot."""
        reason = self._reason(0)
        if reason:
            raise unusable_image(self.split.image_paths[0], reason)

    def _decode(self, index):
        path = self._paths[index]
        contents = packed_contents(path) if self._is_packed else tf.io.read_file(path)
        image = decode_image(contents, path, self.settings.max_pixels)
        if self._orientations is not None:
            image = orient(image, self._orientations[index])
        if not self._has_boxes:
            return image
        return crop(image, self._corners[index], path, self.settings.max_pixels)

    def _reason(self, index):
        try:
            self.load(index)
        except tf.errors.OpError as error:
            return one_line(error)
        return ""

    def _examined(self, index):
        try:
            image = self.load(index)
        except tf.errors.OpError as error:
            return one_line(error), 0
        return "", difference_hashes(image.numpy()[None])[0]

    def _fill(self, cache):
        if cache.kind == "none":
            return None
        sizes, dtype = self._kept_sizes, "uint8"
        if sizes and not self._round_inputs:
            dtype = "float32"
        # Once as a graph: run one by one, the many small operations take longer than the decoder.
        make = tf.function(
            lambda index: [
                tf.cast(view, dtype)
                for view in (self.views(index, sizes) if sizes else [self._decode(index)])
            ],
            input_signature=[tf.TensorSpec((), tf.int64)],
            autograph=False,
        )

        def arrays(index):
            try:
                return [view.numpy() for view in make(tf.constant(index, tf.int64))]
            except tf.errors.OpError as error:
                reason = self._reason(index) or one_line(error)
                raise unusable_image(self.split.image_paths[index], reason) from error

        row_bytes = sum(3 * size * size for size in sizes) * np.dtype(dtype).itemsize
        pictures = Pictures(
            self.split.name, len(self.split), len(sizes) or 1, arrays, dtype, row_bytes
        )
        if cache.kind == "memory":
            return keep_in_memory(pictures)
        return keep_on_disk(pictures, cache.folder, self._key(dtype))

    def _key(self, dtype):
        """Everything that the kept pixels depend on."""
        settings = (self.settings.apply_exif_orientation, self.settings.max_pixels)
        if self._kept_sizes:
            settings += (self._kept_sizes, self.settings.resize_kernel, dtype)
        lines = [repr((_VERSION, tf.__version__, *settings))]
        for path, corners in zip(self.split.image_paths, self._corners.numpy(), strict=True):
            try:
                stat = os.stat(file_of(path))
            except OSError as error:
                raise unusable_image(path, error.strerror) from error
            row = os.path.abspath(path), stat.st_size, stat.st_mtime_ns, self._has_boxes
            lines.append(repr((*row, corners.tolist())))
        return "\n".join(lines)


def unusable_image(path: str, reason: str) -> DatasetError:
    """The error of a training that meets an image it cannot load."""
    return DatasetError(
        f"{path} cannot be used: {reason}. Mend or remove the file, or leave such images out with"
        " --skip_bad_images."
    )


def one_line(error: tf.errors.OpError) -> str:
    """The message of a TensorFlow error without the names of nodes and operations."""
    return " ".join(re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error.message)).split())
