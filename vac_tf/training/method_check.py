"""Settings of the method that cannot work together, found before any data is read."""

import math

from vac_tf.config import TrainConfig
from vac_tf.models.backbones import get_backbone
from vac_tf.training.consistency_trainer import check_grid
from vac_tf.transforms import Scaling, parse_transforms, parse_weights


def check_method(config: TrainConfig) -> None:
    """Checks transforms, weights, pairs, augmentation and backbone of a run.

    Raises:
        ValueError: a misspelt transform or backbone, weights or pairs that do not fit the
            transforms, a translation that is no multiple of the stride, or augmentation by
            scaling together with transforms.
    """
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    parse_weights(config.consistency_weight, transforms)
    if config.pairs == "grid":
        check_grid(transforms)
    augmentation = parse_transforms(config.augment, config.resize_kernel)
    if transforms and any(isinstance(transform, Scaling) for transform in augmentation):
        raise ValueError(
            f"augment {config.augment!r} makes batches of several image sizes, but transforms"
            f" {config.transforms!r} compare heatmaps of one size; put the scaling into transforms,"
            " with weight 0 if it is to be augmentation only."
        )
    stride = get_backbone(config.backbone).stride
    cells = math.ceil(config.image_size / stride)
    if config.consistency_level != "logits":
        for transform in transforms:
            transform.valid_mask(cells, cells, stride)
