"""Chosen images once more through the network: as they are, and mirrored."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from PIL import Image

from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.geometry.transforms import HorizontalFlip
from vac_tf.inputs.prediction import inference
from vac_tf.inputs.settings import naming_bad_images

PICTURE_SIDE = 150  # pixels, of the longer side of a picture
_BATCH = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """The maps of one label on one image.

    Attributes:
        original: `[h, w]`.
        mirrored: `[h, w]`, of the mirrored image, as the network gave it.
    """

    original: np.ndarray
    mirrored: np.ndarray

    @property
    def expected(self) -> np.ndarray:
        """What `mirrored` is for a network that is consistent."""
        return self.original[:, ::-1]

    @property
    def inconsistency(self) -> float | None:
        """Mean squared difference, relative to the map's variance; None for a constant map."""
        variance = float(np.var(self.original))
        difference = float(np.mean((self.expected - self.mirrored) ** 2))
        return difference / variance if variance > 1e-12 else None


@dataclasses.dataclass(frozen=True, eq=False)
class Looks:
    """`pictures`: image -> small uint8 `[H, W, 3]`; `maps`: (image, label) -> `Look`."""

    pictures: dict[int, np.ndarray]
    maps: dict[tuple[int, int], Look]


def look_again(
    evaluated: EvaluatedRun, pairs: Iterable[tuple[int, int]], others: Iterable[int] = ()
) -> Looks:
    """Decodes the images of some (image, label) pairs and predicts their maps, each image once.

    Args:
        evaluated: with its network and images.
        pairs: image and label each. `maps` is empty for a network that gives no heatmaps.
        others: images of which only the picture is wanted.
    """
    labels_of: dict[int, set[int]] = {image: set() for image in others}
    for image, label in pairs:
        labels_of.setdefault(image, set()).add(label)
    images, source = sorted(labels_of), evaluated.source
    looks = Looks({}, {})
    with naming_bad_images(source):
        for first in range(0, len(images), _BATCH):
            part = images[first : first + _BATCH]
            looks.pictures.update({image: _small(source.load(image).numpy()) for image in part})
            inputs = tf.stack([source.resized(image) for image in part])
            both = [_maps(evaluated.network, each) for each in _versions(inputs)]
            if any(maps is None for maps in both):
                continue
            for row, image in enumerate(part):
                for label in labels_of[image]:
                    look = (np.array(maps[row, :, :, label]) for maps in both)
                    looks.maps[image, label] = Look(*look)
    return looks


def _versions(inputs):
    return inputs, HorizontalFlip().images(inputs)


def _maps(network, images):
    outputs = inference(network)(images)
    return tf.cast(outputs["heatmaps"], tf.float32).numpy() if "heatmaps" in outputs else None


def _small(pixels):
    picture = Image.fromarray(pixels)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
