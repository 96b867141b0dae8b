"""Flags of tune.py: its own, and all of train.py."""

from absl import flags as absl_flags

from flags import dataclass_flags
from flags.program import UsageError
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig, check_training, training_in


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags."""
    dataclass_flags.define(TuningConfig, flag_values)
    dataclass_flags.define(TrainConfig, flag_values, skip=("run_dir",))


def to_configs(flag_values: absl_flags.FlagValues) -> tuple[TuningConfig, TrainConfig]:
    """What is looked for, and the training; UsageError for values that do not fit."""
    tuning = dataclass_flags.from_flags(TuningConfig, flag_values)
    training = dataclass_flags.from_flags(TrainConfig, flag_values)
    try:
        check_training(tuning, training)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return tuning, training_in(tuning, training)
