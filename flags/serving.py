"""Flags of serve.py."""

from absl import flags as absl_flags

from export.serving.config import ServingConfig
from flags import dataclass_flags


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags."""
    dataclass_flags.define(ServingConfig, flag_values)


def to_config(flag_values: absl_flags.FlagValues) -> ServingConfig:
    """The config that the flags say; UsageError for values that do not fit."""
    return dataclass_flags.from_flags(ServingConfig, flag_values)
