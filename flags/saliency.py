"""Flags of train_saliency.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from vac_tf.configs.saliency import SaliencyConfig


def define(flag_values=absl_flags.FLAGS) -> None:
    """Defines one flag per field of SaliencyConfig."""
    dataclass_flags.define(SaliencyConfig, flag_values)


def to_config(flag_values=absl_flags.FLAGS) -> SaliencyConfig:
    """The config of the parsed flags; ValueError says what does not fit."""
    return dataclass_flags.from_flags(SaliencyConfig, flag_values)
