"""Settings of the method that cannot work together, found before any data is read."""

import dataclasses
import math

from vac_tf.configs.classification import DUAL_STREAM_SETTINGS, TrainConfig
from vac_tf.geometry.transforms import Scaling, parse_transforms, parse_weights
from vac_tf.models.backbones import get_backbone
from vac_tf.training.consistency_trainer import check_grid
from vac_tf.training.dual_stream.given_runs import check_saliency_run


def check_method(config: TrainConfig) -> None:
    """Checks transforms, weights, pairs, augmentation and backbone of a run.

    Raises:
        ValueError: a misspelt transform or backbone, weights or pairs that do not fit the
            transforms, a translation that is no multiple of the stride, augmentation by scaling
            together with transforms, a saliency run that does not fit, or settings of a
            dual-stream training in that of a classifier.
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
    for stride in {get_backbone(name).stride for name in config.backbones}:
        cells = math.ceil(config.image_size / stride)
        if config.consistency_level != "logits":
            for transform in transforms:
                transform.valid_mask(cells, cells, stride)
    if config.model == "classifier":
        _check_single_network(config)


def _check_single_network(config):
    fields = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    given = [name for name in DUAL_STREAM_SETTINGS if getattr(config, name) != fields[name]]
    if given:
        raise ValueError(
            f"{', '.join(given)}: only for a dual-stream training; add --model=dual_stream."
        )
    if config.saliency_run:
        check_saliency_run(config)
