"""Flags of score.py."""

import logging

from absl import flags as absl_flags

from export.scoring.config import ScoringConfig
from flags import dataclass_flags

_LOGGER = logging.getLogger(__name__)
_RENAMED = {"rows_per_shard": "rows_per_part"}  # Old spelling: flag of today.


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags, under their old spellings too."""
    dataclass_flags.define(ScoringConfig, flag_values)
    for old, new in _RENAMED.items():
        absl_flags.DEFINE_alias(old, new, flag_values=flag_values)


def to_config(flag_values: absl_flags.FlagValues) -> ScoringConfig:
    """The config that the flags say; UsageError for values that do not fit."""
    for old, new in _RENAMED.items():
        if flag_values[old].present:
            _LOGGER.warning("--%s is now called --%s: it is the rows of a part.", old, new)
    return dataclass_flags.from_flags(ScoringConfig, flag_values)
