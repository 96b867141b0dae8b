"""Distorted test images: what a camera, a crop or a compression does to a network's input.

Every distortion is a pure function of images `[B, S, S, 3]` (float32 in 0..255, already of the
network's size) and of the number of each in its split, which decides what is drawn: a batch of
another size distorts an image in the same way. NumPy and Pillow only.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

SHIFT = 1 / 8  # Of the side, along both axes, in a drawn direction.
ZOOM = 3 / 4  # Side of the shrunken picture and of the crop, of the image's.
JPEG_QUALITY = 15
DARKNESS = 0.4  # What is left of every value.
_SEED = 20190


def shifted(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Moved by an eighth of the side down or up and right or left; the border is repeated."""
    distance = max(round(images.shape[1] * SHIFT), 1)
    return _each(images, numbers, lambda image, generator: _shift(image, distance, generator))


def rescaled(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Three quarters as large, in the middle; the border is repeated around it."""
    side = images.shape[1]
    small = max(round(side * ZOOM), 1)
    before = (side - small) // 2
    padding = ((before, side - small - before),) * 2 + ((0, 0),)

    def shrink(image, generator):
        del generator
        return np.pad(_resized(image, small), padding, mode="edge")

    return _each(images, numbers, shrink)


def cropped(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """A crop of three quarters of each side at a drawn place, enlarged to the whole."""
    side = images.shape[1]
    small = max(round(side * ZOOM), 1)

    def crop(image, generator):
        top, left = generator.integers(0, side - small + 1, 2)
        return _resized(image[top : top + small, left : left + small], side)

    return _each(images, numbers, crop)


def jpeg_compressed(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Through JPEG of quality 15, with Pillow's chroma subsampling."""

    def compress(image, generator):
        del generator
        contents = io.BytesIO()
        Image.fromarray(np.rint(image).clip(0, 255).astype(np.uint8)).save(
            contents, "JPEG", quality=JPEG_QUALITY
        )
        return np.asarray(Image.open(contents), np.float32)

    return _each(images, numbers, compress)


def darkened(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Two fifths of every value."""
    del numbers
    return images * np.float32(DARKNESS)


def mirrored(images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The mirror image."""
    del numbers
    return images[:, :, ::-1]


DISTORTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mirrored": mirrored,
    "shifted": shifted,
    "rescaled": rescaled,
    "cropped": cropped,
    "jpeg_compressed": jpeg_compressed,
    "darkened": darkened,
}


def _each(images, numbers, distort):
    generators = (np.random.default_rng((_SEED, int(number))) for number in numbers)
    pairs = zip(images, generators, strict=True)
    return np.stack([distort(image, generator) for image, generator in pairs]).astype(np.float32)


def _shift(image, distance, generator):
    down, right = generator.choice((-distance, distance), 2)
    padded = np.pad(image, ((distance, distance),) * 2 + ((0, 0),), mode="edge")
    top, left = distance - down, distance - right
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


def _resized(image, side):
    channels = [Image.fromarray(np.ascontiguousarray(image[..., c]), "F") for c in range(3)]
    size = (side, side)
    return np.stack([np.asarray(c.resize(size, Image.Resampling.BILINEAR)) for c in channels], -1)
