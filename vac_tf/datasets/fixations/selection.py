"""Which fixations a saliency run trains on, selects with and reports on."""

from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.scenes.fixations import read_scene_fixations

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
        split = read_salicon(config.data_dir, name, rejected=rejected)
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    return split
