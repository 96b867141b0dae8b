"""Flags of export_model.py."""

from absl import flags as absl_flags

from export.building.config import ExportConfig
from flags import dataclass_flags


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags."""
    dataclass_flags.define(ExportConfig, flag_values)


def to_config(flag_values: absl_flags.FlagValues) -> ExportConfig:
    """The config that the flags say; ValueError for values that do not fit."""
    return dataclass_flags.from_flags(ExportConfig, flag_values)
