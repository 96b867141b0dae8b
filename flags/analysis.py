"""Flags of analyze.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from vac_tf.configs.analysis import AnalysisConfig


def define(flag_values=absl_flags.FLAGS) -> None:
    """Defines one flag per field of AnalysisConfig."""
    dataclass_flags.define(AnalysisConfig, flag_values)


def to_config(flag_values=absl_flags.FLAGS) -> AnalysisConfig:
    """The config of the parsed flags; ValueError says what does not fit."""
    return dataclass_flags.from_flags(AnalysisConfig, flag_values)
