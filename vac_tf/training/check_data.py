"""The `--check_data` mode: opens every image and prints what the data set holds."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.description import describe
from vac_tf.datasets.selection import TEST_SPLITS, read_run_split
from vac_tf.datasets.split import DatasetError
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.settings import image_settings


def check_data(config: TrainConfig) -> bool:
    """Prints label statistics, every rejected row and every unreadable image of the splits.

    Looks at the training split, the validation split and the test split, those that exist.

    Returns:
        Whether nothing was rejected.
    """
    names = (config.train_split, config.validation_split, TEST_SPLITS[config.dataset])
    return report_splits(config, names, partial(read_run_split, config), describe)


def report_splits(
    config,
    names: Iterable[str],
    read: Callable[[str, list], Any],
    describe_split: Callable[[Any], str],
) -> bool:
    """Prints what each split holds, its rejected rows and its unreadable images.

    Args:
        config: has `dataset`, `train_split` and the image settings of a run.
        names: of the splits; each is looked at once, one that cannot be read is left out.
        read: a split by its name; appends the rejected rows to the list.
        describe_split: the split in words.

    Returns:
        Whether nothing was rejected.

    Raises:
        DatasetError: when the training split cannot be used at all.
    """
    is_clean = True
    for name in dict.fromkeys(names):
        print(f"== {config.dataset}, split {name}")
        rejected = []
        try:
            split = read(name, rejected)
        except DatasetError as error:
            if name == config.train_split:
                raise
            print(f"not used: {error}")
            continue
        print(describe_split(split))
        bad = ImageSource(split, image_settings(config)).find_bad_images()
        for row in rejected:
            print(f"rejected {row}")
        for index, reason in bad:
            print(f"unreadable {split.image_paths[index]}: {reason}")
        print(f"{len(rejected)} rows rejected, {len(bad)} images unreadable.")
        is_clean &= not rejected and not bad
    return is_clean
