"""Which splits a run trains on, and which one selects its best network."""

import dataclasses
import functools
import logging
from collections.abc import Callable

from vac_tf.configs.classification import DATASETS, TrainConfig
from vac_tf.datasets import Split, read_split
from vac_tf.datasets.held_out import draw_images, fold_numbers, hold_out
from vac_tf.datasets.shared_groups import grouped_train_split, with_known_groups
from vac_tf.datasets.split import UnknownSplitError

_LOGGER = logging.getLogger(__name__)

TEST_SPLITS = DATASETS


def with_data(config: TrainConfig, dataset: str, data_dir: str) -> TrainConfig:
    """The config of a run whose data lies elsewhere, or of other data; "" leaves what it says.

    Raises:
        ValueError: an unknown dataset, or one without a folder.
    """
    if dataset and dataset != config.dataset:
        return dataclasses.replace(config, dataset=dataset, data_dir=data_dir)
    return dataclasses.replace(config, data_dir=data_dir or config.data_dir)


# Name of the images that select a run's best network, where a split's name is asked for.
VALIDATION_PART = "validation_part"
# Name of the fold that the network of one fold of a cross-validation has not seen.
OUT_OF_FOLD = "out_of_fold"
# Datasets without a validation split apart from the one that papers report on (wider's official
# val is part of trainval).
_DEFAULT_HELD_OUT_FRACTION = {"coco": 0.1}


@dataclasses.dataclass(frozen=True)
class RunSplits:
    """`selected_on` says in words what selects the best network."""

    train: Split
    validation: Split
    selected_on: str


def dataset_options(config: TrainConfig) -> dict:
    """Options of `read_split` that a run's config decides."""
    return {
        "label_separator": config.label_separator,
        "label_columns": config.label_columns,
        "ignore_columns": config.ignore_columns,
        "repeated_images": config.repeated_images,
        "soft_labels": config.soft_labels,
        "weight_column": config.weight_column,
        "group_column": "" if config.group_file else config.group_column,
        "partition": config.rap_partition,
        "image_size": config.scenes_image_size,
        "train_images": config.scenes_train_images,
        "seed": config.scenes_seed,
        # Whoever skips bad images opens every one, and finds the missing ones so.
        "keep_missing": config.skip_bad_images,
        "with_objects": False,  # Masks of the whole of COCO would take over a gigabyte.
    }


def read_run_split(config: TrainConfig, name: str, rejected: list | None = None) -> Split:
    """One split of the run's dataset, cut to `max_images`."""
    split = read_split(
        config.dataset, config.data_dir, name, rejected=rejected, **dataset_options(config)
    )
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    return split


def read_named_split(config: TrainConfig, name: str) -> Split:
    """A split of the run's dataset, whole, `VALIDATION_PART` or `OUT_OF_FOLD`."""
    if name == VALIDATION_PART:
        # With the run's own max_images: others would hold out other images.
        return read_run_splits(config).validation
    if name == OUT_OF_FOLD:
        return read_fold(config)
    split = read_run_split(dataclasses.replace(config, max_images=0), name)
    return with_known_groups(split, config)


def read_run_splits(config: TrainConfig, read: Callable[[str], Split] | None = None) -> RunSplits:
    """The training and validation parts of a run.

    The best network is selected on a part that is neither trained nor reported on: a held-out
    fraction of the training images, or the dataset's validation split. With `paper_protocol` it
    is the test split, as the papers' authors did.

    Args:
        config: the run's.
        read: a split by its name; None: `read_run_split`.

    Raises:
        ValueError: when the two splits have different labels or share images, or data is missing
            or bad.
    """
    read = read or functools.partial(read_run_split, config)
    train = _read_train(config, read)
    if config.fold >= 0:
        train = train.select(fold_numbers(train, config.folds, config.held_out_seed) != config.fold)
    fraction, selecting = held_out_fraction(config), selecting_split(config)
    if fraction and not config.validation_fraction:
        _LOGGER.info(
            "%s reports on its %s split: holding out %g of the training images to select the"
            " best network (--validation_fraction).",
            config.dataset,
            TEST_SPLITS[config.dataset],
            fraction,
        )
    if config.paper_protocol:
        validation, selected_on = read(selecting), f"{selecting} split (paper protocol)"
    elif fraction:
        train, validation = hold_out(train, fraction, config.held_out_seed)
        selected_on = f"held-out {fraction:g} of the {config.train_split} split"
        if config.group_column:
            selected_on += f" (no {config.group_column} on both sides)"
    else:
        validation = _read_validation(selecting, read)
        selected_on = f"{selecting} split"
    if config.train_images:
        train = draw_images(train, config.train_images, config.held_out_seed)
    check_disjoint(train, validation)
    return RunSplits(train, validation.with_labels(train.label_names), selected_on)


def read_fold(config: TrainConfig) -> Split:
    """The fold that a network of a cross-validation is not trained on, as a split.

    Raises:
        ValueError: the run is of no fold, or its data is missing or bad.
    """
    if config.fold < 0:
        raise ValueError(f"{OUT_OF_FOLD!r} is a split of a run of one fold (--folds and --fold).")
    train = _read_train(config, functools.partial(read_run_split, config))
    is_in_it = fold_numbers(train, config.folds, config.held_out_seed) == config.fold
    return dataclasses.replace(train.select(is_in_it), name=OUT_OF_FOLD)


def _read_train(config: TrainConfig, read: Callable[[str], Split]) -> Split:
    train = read(config.train_split)
    return grouped_train_split(train, config) if config.group_column else train


def held_out_fraction(config: TrainConfig) -> float:
    """The part of the training images that selects the best network; 0: a split does."""
    if config.paper_protocol:
        return 0.0
    if not config.validation_fraction and config.validation_split == TEST_SPLITS[config.dataset]:
        return _DEFAULT_HELD_OUT_FRACTION.get(config.dataset, 0.0)
    return config.validation_fraction


def selecting_split(config: TrainConfig) -> str:
    """The split that selects the best network; "": a part of the training images does."""
    if held_out_fraction(config):
        return ""
    return TEST_SPLITS[config.dataset] if config.paper_protocol else config.validation_split


def _read_validation(name: str, read: Callable[[str], Split]) -> Split:
    try:
        return read(name)
    except UnknownSplitError as error:
        raise UnknownSplitError(
            f"{error} The best network is selected on that split: name another one with"
            " --validation_split, or hold out a tenth of the training images with"
            " --validation_fraction=0.1."
        ) from error


def check_disjoint(train: Split, validation: Split) -> None:
    """Raises ValueError when splits share images: WIDER's val, say, is part of its trainval."""
    shared = set(train.image_paths).intersection(validation.image_paths)
    if shared:
        raise ValueError(
            f"{len(shared)} images of split {validation.name!r} are also in the training split"
            f" {train.name!r}, such as {min(shared)}: the best network would be selected on images"
            " that it has learnt by heart. Use --validation_fraction=0.1, or another"
            " --validation_split."
        )
