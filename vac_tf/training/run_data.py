"""The data of a training run, ready to train on."""

import contextlib
import dataclasses
import logging
import os

import numpy as np
import tensorflow as tf

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, Split
from vac_tf.datasets.image_source import ImageSettings, ImageSource
from vac_tf.datasets.pipeline import Augmentation, TrainingBatches, evaluation_batches
from vac_tf.datasets.selection import read_run_splits
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class RunData:
    """Batches and label facts of a run.

    Attributes:
        training: Batches to train on.
        validation: Batches to score, unknown labels NaN.
        validation_for_loss: The same with unknown labels as the loss takes them in training.
        validation_source: The images of both.
        label_names: L names, in the order of the columns.
        positive_ratio: float64 `[L]`, p of Equation 3.
        selected_on: What selects the best network, in words.
        skipped: (path, reason) of images left out.
    """

    training: TrainingBatches
    validation: tf.data.Dataset
    validation_for_loss: tf.data.Dataset
    validation_source: ImageSource
    label_names: tuple[str, ...]
    positive_ratio: np.ndarray
    selected_on: str
    skipped: list[tuple[str, str]]

    def labels_description(self) -> dict:
        """The contents of labels.json."""
        return {
            "label_names": list(self.label_names),
            "positive_ratio": [float(ratio) for ratio in self.positive_ratio],
            "selected_on": self.selected_on,
            "skipped_images": [list(row) for row in self.skipped],
        }

    def check_unchanged(self, folder: RunFolder) -> None:
        """Raises ValueError when the run in `folder` has begun with other labels or rows.

        Its columns would be other labels from now on, and its epochs other batches.
        """
        if not os.path.exists(folder.state_file):
            return
        written, now = folder.read_json("labels.json"), self.labels_description()
        changed = [name for name in ("label_names", "positive_ratio") if written[name] != now[name]]
        if changed:
            raise ValueError(
                f"The training data is not what it was when the run in {folder.path!r} began:"
                f" {' and '.join(changed)} of labels.json differ. Restore the data, or start in a"
                " new --run_dir."
            )

    @contextlib.contextmanager
    def naming_bad_images(self):
        """Turns a TensorFlow error about an image into a DatasetError that names the file."""
        with naming_bad_images(self.training.source, self.validation_source):
            yield


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
                raise DatasetError(
                    f"{source.split.image_paths[index]} cannot be used: {reason}. Mend or remove"
                    " the file, or leave such images out with --skip_bad_images."
                ) from error
        raise


def image_settings(config: TrainConfig) -> ImageSettings:
    """How the images of a run are decoded and resized."""
    return ImageSettings(
        config.image_size,
        config.resize_kernel,
        config.max_pixels,
        config.apply_exif_orientation,
    )


def known_labels(labels: np.ndarray, unknown_labels: str) -> np.ndarray:
    """Labels to train on: NaN (left out of the loss) under "ignore", else unknown is negative."""
    return labels if unknown_labels == "ignore" else np.nan_to_num(labels, nan=0.0)


def leave_bad_images_out(split: Split, settings: ImageSettings) -> tuple[Split, list]:
    """The split without unreadable images, and (path, reason) of each; none is replaced.

    Raises:
        DatasetError: when no image is left.
    """
    bad = ImageSource(split, settings).find_bad_images()
    skipped = [(split.image_paths[index], reason) for index, reason in bad]
    for path, reason in skipped:
        logging.warning("Skipped %s: %s", path, reason)
    if len(bad) == len(split):
        raise DatasetError(
            f"None of the {len(split)} images of {split.name} can be used, the first because:"
            f" {skipped[0][0]}: {skipped[0][1]}."
        )
    if skipped:
        logging.warning("Skipped %d of %d images of %s.", len(bad), len(split), split.name)
    bad_indices = {index for index, _ in bad}
    return split.select([i for i in range(len(split)) if i not in bad_indices]), skipped


def read_run_data(config: TrainConfig) -> RunData:
    """Reads the splits of a run and prepares their batches.

    Raises:
        ValueError: unusable settings, or data that is missing, bad or without positives.
    """
    splits = read_run_splits(config)
    train, validation, skipped = splits.train, splits.validation, []
    settings = image_settings(config)
    if config.skip_bad_images:
        train, skipped_train = leave_bad_images_out(train, settings)
        validation, skipped_validation = leave_bad_images_out(validation, settings)
        skipped = skipped_train + skipped_validation
    positive_ratio = train.positive_ratio(config.unknown_labels)
    for name, ratio in zip(train.label_names, positive_ratio, strict=True):
        if ratio == 0.0:
            logging.warning("Label %r has no positive in the training images.", name)
    cache_dir = config.cache_dir or os.path.join(config.run_dir, "image_cache")
    train_source = ImageSource(train, settings, config.cache, cache_dir)
    validation_source = ImageSource(validation, settings, config.cache, cache_dir)
    loss_labels = known_labels(validation.labels, config.unknown_labels)
    return RunData(
        training=TrainingBatches(
            train_source,
            known_labels(train.labels, config.unknown_labels),
            config.batch_size,
            config.seed,
            Augmentation(
                parse_transforms(config.augment, config.resize_kernel), config.augment_mode
            ),
            config.drop_remainder,
        ),
        validation=evaluation_batches(validation_source, validation.labels, config.batch_size),
        validation_for_loss=evaluation_batches(validation_source, loss_labels, config.batch_size),
        validation_source=validation_source,
        label_names=train.label_names,
        positive_ratio=positive_ratio,
        selected_on=splits.selected_on,
        skipped=skipped,
    )
