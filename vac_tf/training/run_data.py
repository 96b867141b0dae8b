"""The data of a training run, ready to train on."""

import contextlib
import dataclasses
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.label_groups.group import LabelGroup, groups_to_json
from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.datasets import DatasetError
from vac_tf.datasets.label_groups import check_groups, contradictions
from vac_tf.datasets.run_splits import RunSplits, read_run_split, read_run_splits
from vac_tf.datasets.split import Split
from vac_tf.geometry.transforms import Scaling, parse_transforms
from vac_tf.inputs.augmentation.image_layers import ImageLayer
from vac_tf.inputs.augmentation.specification import AugmentLayers, parse_layers
from vac_tf.inputs.batch_sizes import check_full_batch, smallest_batch
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import (
    Augmentation,
    TrainingBatches,
    evaluation_batches,
)
from vac_tf.inputs.settings import (
    image_cache,
    image_settings,
    known_labels,
    naming_bad_images,
    usable_parts,
)
from vac_tf.runs.folder import RunFolder
from vac_tf.training.step.accumulation import check_parts
from vac_tf.training.step_memory import check_step_memory
from vac_tf.training.validation import check_selection

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
        label_groups: Labels that exclude each other.
    """

    training: TrainingBatches
    validation: tf.data.Dataset
    validation_for_loss: tf.data.Dataset
    validation_source: ImageSource
    label_names: tuple[str, ...]
    positive_ratio: np.ndarray
    selected_on: str
    skipped: list[tuple[str, str]]
    label_groups: tuple[LabelGroup, ...] = ()

    @property
    def validation_labels(self) -> np.ndarray:
        """float32 `[N, L]`, NaN where unknown, in the order of `validation`."""
        return self.validation_source.split.labels

    def validation_images(self, rows: Sequence[int]) -> np.ndarray:
        """Images of the validation as the network takes them: float32 `[n, S, S, 3]`."""
        return np.stack([self.validation_source.resized(row).numpy() for row in rows])

    def labels_description(self) -> dict:
        """The contents of labels.json."""
        described = {
            "label_names": list(self.label_names),
            "positive_ratio": [float(ratio) for ratio in self.positive_ratio],
            "selected_on": self.selected_on,
            "skipped_images": [list(row) for row in self.skipped],
            "fingerprint": self.fingerprint(),
        }
        if self.label_groups:
            described["label_groups"] = groups_to_json(self.label_groups, self.label_names)
        return described

    def fingerprint(self) -> str:
        """Of names of images and labels, in their order: what epochs and selection go through."""
        digest = hashlib.sha256(self.training.labels.numpy().tobytes())
        digest.update(self.validation_labels.tobytes())
        for source in (self.training.source, self.validation_source):
            for path in source.split.image_paths:
                digest.update(os.fsencode(os.path.basename(path)) + b"\0")
        return digest.hexdigest()[:24]

    def record(self, folder: RunFolder) -> None:
        """Writes what the run keeps of its data into its folder."""
        folder.write_json("labels.json", self.labels_description())

    def check_unchanged(self, folder: RunFolder) -> None:
        """Raises ValueError when the run in `folder` has begun with other labels or rows.

        Its columns would be other labels from now on, and its epochs other batches.
        """
        if not folder.has_state():
            return
        written, now = folder.read_json("labels.json"), self.labels_description()
        names = ("label_names", "positive_ratio", "label_groups")
        changed = [name for name in names if written.get(name) != now.get(name)]
        if written.get("fingerprint", now["fingerprint"]) != now["fingerprint"]:
            changed.append("fingerprint (images, their order, or labels of single images)")
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


@dataclasses.dataclass(frozen=True)
class UsableSplits(RunSplits):
    """`skipped` holds the (path, reason) of every image that was left out."""

    skipped: list[tuple[str, str]]


def read_usable_splits(config: TrainConfig, splits: RunSplits | None = None) -> UsableSplits:
    """The splits of a run, read by its config, without the bad images where those are skipped.

    Args:
        config: of the run.
        splits: those that were given; None: they are read.

    Raises:
        ValueError: unusable settings, or data that is missing or bad.
    """
    splits = splits or read_run_splits(config)
    train, validation, skipped = usable_parts(config, splits.train, splits.validation)
    check_step_memory(min(config.batch_size, len(train)), _sides_of_views(config))
    if config.drop_remainder:
        check_full_batch(len(train), config.batch_size, _augmentation(config).versions)
    return UsableSplits(train, validation, splits.selected_on, skipped)


def check_folds(config: TrainConfig, read: Callable[[str], Split] | None = None) -> None:
    """Raises ValueError, naming the fold, where one of a cross-validation could not be trained.

    Args:
        config: of all folds; of one network there is nothing to check.
        read: a split by its name; None: `read_run_split`, each split once.
    """
    read = functools.cache(read or functools.partial(read_run_split, config))
    for number in range(config.folds if config.fold < 0 else 0):
        of_fold = dataclasses.replace(config, fold=number)
        try:
            splits = read_run_splits(of_fold, read)
            check_selection(splits, config.unknown_labels)
            _check_learnable(config, splits.train)
        except ValueError as error:
            raise ValueError(f"Fold {number + 1} of {config.folds}: {error}") from error


def _check_learnable(config, train):
    """What `read_run_data` and a training refuse of the images that are learnt."""
    check_groups(train, read_label_groups(config.label_groups, train.label_names))
    _weights_of_mean_one(train)
    versions = _augmentation(config).versions
    if config.drop_remainder:
        check_full_batch(len(train), config.batch_size, versions)
    smallest = smallest_batch(len(train), config.batch_size, config.drop_remainder, versions)
    check_parts(config.accumulate_steps, smallest)


def read_run_data(
    config: TrainConfig,
    splits: UsableSplits | None = None,
    layers: Sequence[ImageLayer] = (),
) -> RunData:
    """The batches of a run; where asked for, decoded images are cached, in its folder by default.

    Args:
        config: of the run.
        splits: what it trains on; None: they are read.
        layers: change single training images, before those of `augment_layers`.

    Raises:
        ValueError: as `read_usable_splits`; DatasetError for the first unreadable image when a
            cache is filled.
    """
    splits = splits or read_usable_splits(config)
    train, validation, settings = splits.train, splits.validation, image_settings(config)
    positive_ratio = train.positive_ratio(config.unknown_labels)
    _name_one_sided_labels(train.label_names, positive_ratio)
    groups = read_label_groups(config.label_groups, train.label_names)
    check_groups(train, groups)
    for sentence in contradictions(train, groups):
        _LOGGER.warning("%s", sentence)
    cache = image_cache(config, _sizes_from_photographs(config))
    train_source = ImageSource(train, settings, cache, config.round_inputs)
    validation_source = ImageSource(validation, settings, cache, config.round_inputs)
    scaled_views = _views_from_photographs(config)
    loss_labels = known_labels(validation.labels, config.unknown_labels)
    return RunData(
        training=TrainingBatches(
            train_source,
            known_labels(train.training_labels, config.unknown_labels),
            config.batch_size,
            config.seed,
            _augmentation(config, layers),
            config.drop_remainder,
            scaled_views,
            _weights_of_mean_one(train),
        ),
        validation=evaluation_batches(validation_source, validation.labels, config.batch_size),
        validation_for_loss=evaluation_batches(
            validation_source, loss_labels, config.batch_size, scaled_views
        ),
        validation_source=validation_source,
        label_names=train.label_names,
        positive_ratio=positive_ratio,
        selected_on=splits.selected_on,
        skipped=splits.skipped,
        label_groups=groups,
    )


def _weights_of_mean_one(train):
    """So that the learning rate means what it does without weights."""
    if train.weights is None:
        return None
    if not train.weights.any():
        raise DatasetError(
            f"Every example of {train.name} has the weight 0: nothing would be learnt. Look at the"
            " column that --weight_column names."
        )
    return train.weights / train.weights.mean()


def _name_one_sided_labels(label_names, positive_ratio):
    for name, ratio in zip(label_names, positive_ratio, strict=True):
        if ratio in (0.0, 1.0):
            absent = "positive" if ratio == 0.0 else "negative"
            _LOGGER.warning("Label %r has no %s in the training images.", name, absent)


def _augmentation(config, layers=()):
    named = parse_layers(config.augment_layers)
    return Augmentation(
        parse_transforms(config.augment, config.resize_kernel),
        config.augment_mode,
        from_photograph=config.scaled_view == "photograph",
        layers=AugmentLayers((*layers, *named.of_image), named.of_batch),
    )


def _sides_of_views(config):
    """Side in pixels of every view of an image that a step holds at least."""
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    sides = [t.size if isinstance(t, Scaling) else config.image_size for t in transforms]
    return (config.image_size, *([max(sides)] if config.sampled_transform else sides))


def _views_from_photographs(config):
    if config.scaled_view == "view":
        return ()
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    return tuple(transform for transform in transforms if isinstance(transform, Scaling))


def _sizes_from_photographs(config):
    """The sizes that photographs are resized to: of views, and of versions of the union."""
    scalings, augmentation = list(_views_from_photographs(config)), _augmentation(config)
    if augmentation.from_photograph:
        scalings += [each for each in augmentation.versions if isinstance(each, Scaling)]
    return tuple(dict.fromkeys((config.image_size, *(scaling.size for scaling in scalings))))
