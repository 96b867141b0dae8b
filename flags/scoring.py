"""Flags of score.py."""

from absl import flags as absl_flags

from export.scoring.config import ScoringConfig
from flags import dataclass_flags


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags."""
    dataclass_flags.define(ScoringConfig, flag_values)


def to_config(flag_values: absl_flags.FlagValues) -> ScoringConfig:
    """The config that the flags say; ValueError for values that do not fit."""
    return dataclass_flags.from_flags(ScoringConfig, flag_values)
