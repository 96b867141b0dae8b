"""Flags of evaluate_saliency.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from vac_tf.configs.saliency import SaliencyEvaluationConfig


def define(flag_values=absl_flags.FLAGS) -> None:
    """Defines one flag per field of SaliencyEvaluationConfig."""
    dataclass_flags.define(SaliencyEvaluationConfig, flag_values)


def to_config(flag_values=absl_flags.FLAGS) -> SaliencyEvaluationConfig:
    """The config of the parsed flags; ValueError says what does not fit."""
    return dataclass_flags.from_flags(SaliencyEvaluationConfig, flag_values)
