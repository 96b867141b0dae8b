"""The data of a training run, ready to train on."""

import contextlib
import dataclasses
import logging
import os

import numpy as np
import tensorflow as tf

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.geometry.transforms import Scaling, parse_transforms
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches, evaluation_batches
from vac_tf.inputs.settings import (
    image_settings,
    known_labels,
    leave_bad_images_out,
    naming_bad_images,
)
from vac_tf.runs.folder import RunFolder
from vac_tf.training.step_memory import check_step_memory

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RunData:
    """Batches and label facts of a run.

    Attributes:
        training: Batches to train on.
        validation: Batches to score, unknown labels NaN.
        validation_for_loss: The same with unknown labels as the loss takes them in training, and
            with the scaled views that come from the photographs.
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

    def check_selection(self, unknown_labels: str) -> None:
        """Raises ValueError where the validation part gives every network the same mAP.

        The average precision of a label is 1 when all its images are positive, and undefined when
        none is.
        """
        labels = self.validation_source.split.labels
        if unknown_labels == "negative":
            labels = known_labels(labels, unknown_labels)
        if not ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).any():
            raise ValueError(
                f"No label has both a positive and a negative among the {len(labels)} images of the"
                f" validation part ({self.selected_on}): every network would have the same mAP, and"
                " none could be selected. Use a larger --validation_fraction or another"
                " --validation_split."
            )

    def check_unchanged(self, folder: RunFolder) -> None:
        """Raises ValueError when the run in `folder` has begun with other labels or rows.

        Its columns would be other labels from now on, and its epochs other batches.
        """
        if not os.path.exists(folder.state_file):
            return
        written, now = folder.read_json("labels.json"), self.labels_description()
        changed = [
            name for name in ("label_names", "positive_ratio") if written.get(name) != now[name]
        ]
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
        if ratio in (0.0, 1.0):
            absent = "positive" if ratio == 0.0 else "negative"
            _LOGGER.warning("Label %r has no %s in the training images.", name, absent)
    cache_dir = config.cache_dir or os.path.join(config.run_dir, "image_cache")
    train_source = ImageSource(train, settings, config.cache, cache_dir)
    validation_source = ImageSource(validation, settings, config.cache, cache_dir)
    scaled_views = _views_from_photographs(config)
    loss_labels = known_labels(validation.labels, config.unknown_labels)
    check_step_memory(min(config.batch_size, len(train)), _sides_of_views(config))
    for source in (train_source, validation_source):
        source.check_first_image()
    return RunData(
        training=TrainingBatches(
            train_source,
            known_labels(train.labels, config.unknown_labels),
            config.batch_size,
            config.seed,
            Augmentation(
                parse_transforms(config.augment, config.resize_kernel),
                config.augment_mode,
                from_photograph=config.scaled_view == "photograph",
            ),
            config.drop_remainder,
            scaled_views,
        ),
        validation=evaluation_batches(validation_source, validation.labels, config.batch_size),
        validation_for_loss=evaluation_batches(
            validation_source, loss_labels, config.batch_size, scaled_views
        ),
        validation_source=validation_source,
        label_names=train.label_names,
        positive_ratio=positive_ratio,
        selected_on=splits.selected_on,
        skipped=skipped,
    )


def _sides_of_views(config):
    """Side in pixels of every view of an image that a step holds."""
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    sides = (t.size if isinstance(t, Scaling) else config.image_size for t in transforms)
    return (config.image_size, *sides)


def _views_from_photographs(config):
    if config.scaled_view == "view":
        return ()
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    return tuple(transform for transform in transforms if isinstance(transform, Scaling))
