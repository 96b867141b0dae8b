"""The images of a run that its export compares and calibrates on."""

import dataclasses

import numpy as np

from export.building.config import ExportConfig
from export.building.gate.budget import parse_precisions
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import Split
from vac_tf.datasets.run_splits import read_run_splits, with_data
from vac_tf.inputs.image_source import ImageSettings
from vac_tf.inputs.settings import leave_bad_images_out


@dataclasses.dataclass(frozen=True)
class ExportSplits:
    """Images that an export needs.

    Attributes:
        parity: Validation images on which ONNX and SavedModel must equal the Keras network.
        gate: Validation images on which each precision is judged.
        calibration: Training images that set the ranges of INT8.
        reference: Validation images whose scores a drift is measured from, or None.
    """

    parity: Split
    gate: Split
    calibration: Split
    reference: Split | None = None


def read_export_splits(
    train_config: TrainConfig,
    settings: ImageSettings,
    config: ExportConfig,
    label_names: tuple[str, ...],
) -> ExportSplits:
    """Validation images spread evenly over the split, training images chosen by the seed."""
    splits = read_run_splits(with_data(train_config, config.dataset, config.data_dir))

    def usable(split, indices):
        chosen = split.select(indices).with_labels(label_names)
        skip = train_config.skip_bad_images
        return leave_bad_images_out(chosen, settings)[0] if skip else chosen

    parity = usable(splits.validation, _evenly(splits.validation, config.parity_images))
    reference = _reference(splits.validation, config)
    if parse_precisions(config.precisions) == ("fp32",):
        return ExportSplits(parity, parity, splits.train, reference)
    generator = np.random.default_rng(train_config.seed)
    count = min(config.calibration_images, len(splits.train))
    chosen = np.sort(generator.choice(len(splits.train), count, replace=False))
    gate = usable(splits.validation, _evenly(splits.validation, config.gate_images))
    return ExportSplits(parity, gate, usable(splits.train, chosen), reference)


def given_splits(split: Split, settings: ImageSettings, config: ExportConfig) -> ExportSplits:
    """The images of one split for all three, spread evenly over it; unreadable ones are left out.

    Raises:
        DatasetError: none can be read.
    """

    def usable(count):
        return leave_bad_images_out(split.select(_evenly(split, count)), settings)[0]

    parity, reference = usable(config.parity_images), _reference(split, config)
    if parse_precisions(config.precisions) == ("fp32",):
        return ExportSplits(parity, parity, parity, reference)
    gate, calibration = usable(config.gate_images), usable(config.calibration_images)
    return ExportSplits(parity, gate, calibration, reference)


def _reference(split: Split, config: ExportConfig) -> Split | None:
    # Unreadable ones are left out where they are scored.
    count = config.reference_images
    return split.select(_evenly(split, count)) if count else None


def _evenly(split: Split, count: int) -> np.ndarray:
    count = min(count, len(split))
    return np.linspace(0, len(split) - 1, count).round().astype(int)
