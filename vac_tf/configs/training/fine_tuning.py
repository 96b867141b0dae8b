"""The settings of fine-tuning: how a backbone that has learnt before learns on, and from what."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class FineTuningSettings:
    """What protects a pretrained backbone from a new head, and from few images."""

    init_run: str = setting(
        "",
        "Run folder of a classifier of the same backbone to start from, whose labels may be others:"
        " the head's weights are carried over by label name, the rest of the head is drawn.",
    )
    backbone_learning_rate_scale: float = setting(
        1.0, "Learning rate of everything before the head, relative to --learning_rate.", above=0
    )
    frozen_epochs: int = setting(
        0,
        "Epochs in which only the head learns; weights and batch statistics before it stay.",
        at_least=0,
    )
    augment_layers: str = setting(
        "",
        "Augmentation that keeps labels, in this order, of random_resized_crop:AREA,"
        " colour:STRENGTH, rand_augment:OPERATIONS:MAGNITUDE, random_erasing:PROBABILITY,"
        " mixup:ALPHA and cutmix:ALPHA, such as random_resized_crop:0.5,rand_augment:2:9.",
    )
    quantization_aware: bool = setting(
        False,
        "Learn under INT8's rounding: for some epochs at a low rate from the --init_run whose INT8"
        " file export_model.py refused (docs/precision.md: what it did so far).",
    )
