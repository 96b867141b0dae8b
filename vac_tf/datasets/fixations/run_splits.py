"""Which fixations a saliency run trains on, selects with and reports on."""

import functools
import logging
from collections.abc import Callable

from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.held_out import hold_out
from vac_tf.datasets.run_splits import check_disjoint
from vac_tf.datasets.scenes.fixations import read_scene_fixations

_LOGGER = logging.getLogger(__name__)

# The fixations of SALICON's test images are not public.
_EVALUATION_SPLITS = {"scenes": "test", "salicon": "val"}


def evaluation_split_name(config: SaliencyConfig) -> str:
    """The split that the run reports on."""
    return config.evaluation_split or _EVALUATION_SPLITS[config.dataset]


def read_saliency_split(
    config: SaliencyConfig, name: str, rejected: list | None = None
) -> SaliencySplit:
    """One split of the run's data set, cut to `max_images`."""
    if config.dataset == "scenes":
        split = read_scene_fixations(
            config.data_dir,
            name,
            rejected=rejected,
            image_size=config.scenes_image_size,
            train_images=config.scenes_train_images,
            seed=config.scenes_seed,
        )
    else:
        split = read_salicon(
            config.data_dir, name, rejected=rejected, keep_missing=config.skip_bad_images
        )
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    return split


def read_saliency_splits(
    config: SaliencyConfig, read: Callable[[str], SaliencySplit] | None = None
) -> tuple[SaliencySplit, SaliencySplit, str]:
    """The training and validation parts of a run, and in words what selects its best network.

    Args:
        config: the run's.
        read: a split by its name; None: `read_saliency_split`.

    Raises:
        ValueError: when the splits share images, or data is missing or bad.
    """
    read = read or functools.partial(read_saliency_split, config)
    train = read(config.train_split)
    if not config.validation_split:
        train, validation = hold_out(train, config.validation_fraction, config.seed)
        part = f"held-out {config.validation_fraction:g} of the {config.train_split} split"
        return train, validation, part
    if config.validation_split == evaluation_split_name(config):
        _LOGGER.warning(
            "The network is selected on the %s split, which is evaluated too: its figures flatter.",
            config.validation_split,
        )
    validation = read(config.validation_split)
    check_disjoint(train, validation)
    return train, validation, f"{config.validation_split} split"
