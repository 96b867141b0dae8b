"""The `--check_data` mode of saliency training: reads every file and says what the splits hold."""

from functools import partial

import numpy as np

from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.density import saliency_targets
from vac_tf.datasets.fixations.run_splits import evaluation_split_name, read_saliency_split
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.runs.folder import RunFolder
from vac_tf.training.check_data import report_splits
from vac_tf.training.method_check import check_saliency_method
from vac_tf.training.saliency.data import (
    check_evaluation_split,
    check_unchanged_targets,
    read_usable_splits,
)
from vac_tf.training.step.precision_check import check_precision


def check_saliency_data(config: SaliencyConfig) -> bool:
    """Prints counts, what is wrong with the splits, and what training says of them.

    Looks at the training split, the validation split where one is named, and the split that is
    evaluated.

    Returns:
        Whether nothing was rejected and a training would start.

    Raises:
        DatasetError: when the training split cannot be used at all.
    """
    names = (config.train_split, config.validation_split, evaluation_split_name(config))
    names = tuple(filter(None, names))
    return report_splits(
        config,
        names,
        partial(read_saliency_split, config),
        describe_fixations,
        partial(_check_training, config),
        names,
    )


def _check_training(config, found):
    folder = RunFolder(config.run_dir)
    if config.run_dir:
        folder.check(config)
    check_saliency_method(config)
    check_precision(config.precision)
    splits = read_usable_splits(config, found)
    check_evaluation_split(config, found)
    if config.run_dir and folder.has_state():
        # Without a cache: this mode writes nothing.
        parts = (splits.train, splits.validation)
        check_unchanged_targets(
            folder, *(saliency_targets(part, config.grid_size) for part in parts)
        )
    return splits


def describe_fixations(split: SaliencySplit) -> str:
    """Counts of images, observers and fixations, and where the fixations lie on average."""
    observers = [len(workers) for workers in split.workers]
    fixations = [len(split.points(index)) for index in range(len(split))]
    places = np.concatenate(
        [(split.points(index) + 0.5) / split.sizes[index] for index in range(len(split))]
    )
    (row, column), (rows, columns) = places.mean(axis=0), places.std(axis=0)
    sizes = sorted({tuple(size) for size in split.sizes.tolist()})
    shown = ", ".join(f"{height}x{width}" for height, width in sizes[:5])
    return (
        f"{len(split)} images ({'maps published' if split.map_paths else 'maps from fixations'}),"
        f" {len(sizes)} sizes (height x width): {shown}\n"
        f"observers per image: {min(observers)} to {max(observers)}, median"
        f" {np.median(observers):g}\n"
        f"fixations: {sum(fixations)}, per image {min(fixations)} to {max(fixations)}, median"
        f" {np.median(fixations):g}\n"
        f"mean place (row, column; of 0..1): {row:.3f}, {column:.3f}; standard deviation"
        f" {rows:.3f}, {columns:.3f}"
    )
