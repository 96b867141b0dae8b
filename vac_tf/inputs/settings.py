"""How the images and labels of a run are taken, and what happens to images that cannot be."""

import contextlib
import logging
import os

import numpy as np
import tensorflow as tf

from vac_tf.configs.run import RunConfig
from vac_tf.datasets import DatasetError, Split
from vac_tf.inputs.image_cache import ImageCache
from vac_tf.inputs.image_source import ImageSettings, ImageSource, unusable_image

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def naming_bad_images(*sources: ImageSource):
    """Turns a TensorFlow error inside into a DatasetError that names the first bad image."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.InternalError):
        raise  # The device's, not a file's: opening every image would only take long.
    except tf.errors.OpError as error:
        for source in sources:
            for index, reason in source.find_bad_images(first_only=True):
                raise unusable_image(source.split.image_paths[index], reason) from error
        raise


def image_settings(config: RunConfig) -> ImageSettings:
    """How the images of a run are decoded and resized."""
    return ImageSettings(
        config.image_size,
        config.resize_kernel,
        config.max_pixels,
        config.apply_exif_orientation,
    )


def image_cache(config: RunConfig, sizes: tuple[int, ...]) -> ImageCache:
    """Where a run keeps its images, whose inputs have these sizes; in its folder by default."""
    folder = config.cache_dir or os.path.join(config.run_dir, "image_cache")
    return ImageCache(config.cache, folder, config.cache_content, sizes)


def known_labels(labels: np.ndarray, unknown_labels: str) -> np.ndarray:
    """Labels to train on: NaN (left out of the loss) under "ignore", else unknown is negative."""
    return labels if unknown_labels == "ignore" else np.nan_to_num(labels, nan=0.0)


def usable_parts(config: RunConfig, train: Split, validation: Split) -> tuple[Split, Split, list]:
    """Both parts of a run, and (path, reason) of each image that was left out of them.

    Bad images are left out where the run skips them.

    Raises:
        DatasetError: a part whose first image cannot be loaded, or that has no image left.
    """
    settings, skipped, parts = image_settings(config), [], []
    for part in (train, validation):
        if config.skip_bad_images:
            part, bad = leave_bad_images_out(part, settings)
            skipped += bad
        ImageSource(part.select([0]), settings).check_first_image()
        parts.append(part)
    return *parts, skipped


def leave_bad_images_out(split: Split, settings: ImageSettings) -> tuple[Split, list]:
    """The split without unreadable images, and (path, reason) of each; none is replaced.

    Raises:
        DatasetError: when no image is left.
    """
    bad = ImageSource(split, settings).find_bad_images()
    skipped = [(split.image_paths[index], reason) for index, reason in bad]
    for path, reason in skipped:
        _LOGGER.warning("Skipped %s: %s", path, reason)
    if len(bad) == len(split):
        raise DatasetError(
            f"None of the {len(split)} images of {split.name} can be used, the first because:"
            f" {skipped[0][0]}: {skipped[0][1]}."
        )
    if skipped:
        _LOGGER.warning("Skipped %d of %d images of %s.", len(bad), len(split), split.name)
    bad_indices = {index for index, _ in bad}
    return split.select([i for i in range(len(split)) if i not in bad_indices]), skipped
