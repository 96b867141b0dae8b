"""The data of a saliency run, ready to train on."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.density import saliency_targets, shrink_counts
from vac_tf.datasets.fixations.run_splits import (
    evaluation_split_name,
    read_saliency_split,
    read_saliency_splits,
)
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.split import DatasetError
from vac_tf.inputs.batch_sizes import check_full_batch
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import TrainingBatches, evaluation_batches
from vac_tf.inputs.settings import (
    image_cache,
    image_settings,
    naming_bad_images,
    usable_parts,
)
from vac_tf.runs.folder import RunFolder
from vac_tf.training.step.accumulation import check_parts
from vac_tf.training.step_memory import check_step_memory


@dataclasses.dataclass(frozen=True)
class SaliencyData:
    """Batches of a run: targets are `[B, S, S, 2]`, see `saliency_targets`."""

    training: TrainingBatches
    validation: tf.data.Dataset
    validation_source: ImageSource
    validation_targets: np.ndarray
    selected_on: str
    skipped: list[tuple[str, str]]

    @contextlib.contextmanager
    def naming_bad_images(self):
        """Turns a TensorFlow error about an image into a DatasetError that names the file."""
        with naming_bad_images(self.training.source, self.validation_source):
            yield

    def description(self) -> dict:
        """The contents of saliency_data.json."""
        return {
            "training_images": len(self.training.source.split),
            "validation_images": len(self.validation_source.split),
            "selected_on": self.selected_on,
            "fingerprint": _fingerprint(self.training.labels.numpy(), self.validation_targets),
            "skipped_images": [list(row) for row in self.skipped],
        }

    def check_unchanged(self, folder: RunFolder) -> None:
        """As `check_unchanged_targets`."""
        check_unchanged_targets(folder, self.training.labels.numpy(), self.validation_targets)


def check_unchanged_targets(
    folder: RunFolder, training_targets: np.ndarray, validation_targets: np.ndarray
) -> None:
    """Raises ValueError when the run in `folder` has begun with other fixations.

    Args:
        folder: of the run; any will do that has no state.
        training_targets, validation_targets: `[N, S, S, 2]`, see `saliency_targets`.
    """
    if not folder.has_state():
        return
    found = _fingerprint(training_targets, validation_targets)
    if folder.read_json("saliency_data.json")["fingerprint"] != found:
        raise ValueError(
            f"The fixations are not what they were when the run in {folder.path!r} began."
            " Restore the data, or start in a new --run_dir."
        )


def _fingerprint(training_targets, validation_targets) -> str:
    digest = hashlib.sha256(training_targets.tobytes())
    digest.update(validation_targets.tobytes())
    return digest.hexdigest()[:24]


@dataclasses.dataclass(frozen=True)
class SaliencySplits:
    """What a run trains on and selects with: read and checked, nothing of it written yet."""

    train: SaliencySplit
    validation: SaliencySplit
    selected_on: str
    skipped: list[tuple[str, str]]


def read_usable_splits(
    config: SaliencyConfig, read: Callable[[str], SaliencySplit] | None = None
) -> SaliencySplits:
    """Reads the splits of a run, without the bad images where those are skipped.

    The best network is selected on images that are neither trained nor reported on: a held-out
    part of the training images, unless a validation split is named.

    Args:
        config: of the run.
        read: a split by its name; None: `read_saliency_split`.

    Raises:
        ValueError: unusable settings, or data that is missing or bad.
    """
    train, validation, selected_on = read_saliency_splits(config, read)
    train, validation, skipped = usable_parts(config, train, validation)
    check_batches(config, len(train))
    check_best_metric(config, validation)
    return SaliencySplits(train, validation, selected_on, skipped)


def check_batches(config: SaliencyConfig, num_images: int) -> None:
    """Raises ValueError where an epoch of so many images has a batch that cannot be trained on."""
    size = min(config.batch_size, num_images)
    check_step_memory(size, (config.image_size,))
    if config.drop_remainder:
        check_full_batch(num_images, config.batch_size)
    else:
        size = num_images % size or size
    check_parts(config.accumulate_steps, size)


def check_best_metric(config: SaliencyConfig, validation: SaliencySplit) -> None:
    """Raises ValueError where the metric that selects is undefined on every validation image."""
    metric, side = config.best_metric, config.grid_size
    if metric == "shuffled_auc" and len(validation) < 2:
        raise ValueError(
            "best_metric shuffled_auc is undefined on 1 validation image: it compares with the"
            " fixations of others. Use more (--validation_fraction) or another --best_metric."
        )
    if metric == "auc_judd" and all(
        shrink_counts(validation.points(index), validation.sizes[index], side, side).all()
        for index in range(len(validation))
    ):
        raise ValueError(
            f"best_metric auc_judd is undefined on the validation images ({len(validation)}):"
            f" somebody looked at every cell of their {side}x{side} grid. Use a finer one"
            " (--target_size) or another --best_metric."
        )


def check_evaluation_split(
    config: SaliencyConfig, read: Callable[[str], SaliencySplit] | None = None
) -> None:
    """Reads the split that is evaluated at the end, so that its faults are found at the start.

    Args:
        config: of the run.
        read: a split by its name; None: `read_saliency_split`.

    Raises:
        DatasetError: it is missing or bad.
    """
    try:
        (read or partial(read_saliency_split, config))(evaluation_split_name(config))
    except DatasetError as error:
        raise DatasetError(
            f"{error} The network is to be evaluated on that split; name another one with"
            " --evaluation_split."
        ) from error


def prepare_saliency_data(config: SaliencyConfig, splits: SaliencySplits) -> SaliencyData:
    """The batches of a run; targets and, where asked for, images are cached in its folder.

    Raises:
        DatasetError: naming the first unreadable image, when a cache is filled.
    """
    train, validation, settings = splits.train, splits.validation, image_settings(config)
    cache = image_cache(config, (config.image_size,))
    sources = [
        ImageSource(split, settings, cache, config.round_inputs) for split in (train, validation)
    ]
    targets = [
        saliency_targets(split, config.grid_size, cache.folder) for split in (train, validation)
    ]
    return SaliencyData(
        training=TrainingBatches(
            sources[0],
            targets[0],
            config.batch_size,
            config.seed,
            drop_remainder=config.drop_remainder,
        ),
        validation=evaluation_batches(sources[1], targets[1], config.batch_size),
        validation_source=sources[1],
        validation_targets=targets[1],
        selected_on=splits.selected_on,
        skipped=splits.skipped,
    )
