"""Flags of train.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from vac_tf.configs.classification import TrainConfig


def define(flag_values=absl_flags.FLAGS) -> None:
    """Defines one flag per field of TrainConfig."""
    dataclass_flags.define(TrainConfig, flag_values)


def to_config(flag_values=absl_flags.FLAGS) -> TrainConfig:
    """The config of the parsed flags; ValueError says what does not fit."""
    return dataclass_flags.from_flags(TrainConfig, flag_values)
