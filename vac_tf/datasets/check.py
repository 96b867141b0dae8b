"""The `--check_data` mode: opens every image and prints what the data set holds."""

from vac_tf.config import TrainConfig
from vac_tf.datasets.description import describe
from vac_tf.datasets.image_source import ImageSource
from vac_tf.datasets.selection import TEST_SPLITS, read_run_split
from vac_tf.datasets.split import DatasetError
from vac_tf.training.run_data import image_settings


def check_data(config: TrainConfig) -> bool:
    """Prints label statistics, every rejected row and every unreadable image of the splits.

    Looks at the training split, the validation split and the test split, those that exist.

    Returns:
        Whether nothing was rejected.
    """
    is_clean = True
    names = (config.train_split, config.validation_split, TEST_SPLITS[config.dataset])
    for name in dict.fromkeys(names):
        print(f"== {config.dataset}, split {name}")
        rejected = []
        try:
            split = read_run_split(config, name, rejected)
        except DatasetError as error:
            if name == config.train_split:
                raise
            print(f"not used: {error}")
            continue
        print(describe(split))
        bad = ImageSource(split, image_settings(config)).find_bad_images()
        for row in rejected:
            print(f"rejected {row}")
        for index, reason in bad:
            print(f"unreadable {split.image_paths[index]}: {reason}")
        print(f"{len(rejected)} rows rejected, {len(bad)} images unreadable.")
        is_clean &= not rejected and not bad
    return is_clean
