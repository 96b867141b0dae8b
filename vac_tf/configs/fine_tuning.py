"""The settings of fine-tuning: how a backbone that has learnt before learns on."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class FineTuningSettings:
    """What protects a pretrained backbone from a new head."""

    backbone_learning_rate_scale: float = setting(
        1.0, "Learning rate of everything before the head, relative to --learning_rate.", above=0
    )
    frozen_epochs: int = setting(
        0,
        "Epochs in which only the head learns; weights and batch statistics before it stay.",
        at_least=0,
    )
