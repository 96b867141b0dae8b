"""Flags of evaluate.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from vac_tf.configs.classification import EvaluationConfig


def define(flag_values=absl_flags.FLAGS) -> None:
    """Defines one flag per field of EvaluationConfig."""
    dataclass_flags.define(EvaluationConfig, flag_values)


def to_config(flag_values=absl_flags.FLAGS) -> EvaluationConfig:
    """The config of the parsed flags; ValueError says what does not fit."""
    return dataclass_flags.from_flags(EvaluationConfig, flag_values)
