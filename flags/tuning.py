"""Flags of tune.py: its own, and all of train.py."""

import dataclasses
import difflib
import sys
from collections.abc import Callable, Sequence

from absl import flags as absl_flags

from flags import dataclass_flags
from flags.program import UsageError
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import as_arguments
from vac_tf.configs.tuning.settings import TuningConfig, check_training, training_in
from vac_tf.configs.tuning.space import parse_space
from vac_tf.configs.tuning.sweep import Sweep, checked_trainings
from vac_tf.configs.tuning.trials import Values, as_flags

_SWEEP_HELP = (
    "Of sweep, once per flag that varies: its values, learning_rate=1e-4,1e-3 (such as hold commas"
    " between bars: transforms=hflip|hflip,scale:64), or with --sampler=random or optuna a range,"
    " learning_rate=log:1e-4:1e-2 or dropout=linear:0:0.5."
)


def define(flag_values: absl_flags.FlagValues) -> None:
    """Defines the flags."""
    dataclass_flags.define(TuningConfig, flag_values)
    absl_flags.DEFINE_multi_string("sweep", [], _SWEEP_HELP, flag_values=flag_values)
    flag_values.register_key_flag_for_module(sys.argv[0], flag_values["sweep"])
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


def to_sweep(
    flag_values: absl_flags.FlagValues,
    tuning: TuningConfig,
    training: TrainConfig,
    arguments: Sequence[str],
) -> Sweep:
    """What varies, nothing in other modes.

    Args:
        flag_values: the parsed flags, with those of flag files.
        tuning: what `to_configs` made of them.
        training: the same.
        arguments: the command line as it was typed. A flag in it must not be swept; one of a flag
            file gives way to the sweep, as it does to a flag behind it.

    Raises:
        UsageError: for what cannot be varied.
    """
    typed = {each.lstrip("-").partition("=")[0] for each in arguments if each.startswith("-")}
    texts = flag_values["sweep"].value
    if bool(texts) != (tuning.mode == "sweep"):
        raise UsageError(
            "--sweep and --mode=sweep belong together: --sweep=learning_rate=1e-4,1e-3 says what"
            f" varies. Got mode {tuning.mode!r} and {len(texts)} times --sweep."
        )
    kinds = {
        dataclass_flags.flag_name(field): field.type for field in dataclasses.fields(TrainConfig)
    }
    try:
        space = parse_space(texts, kinds)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for name in space:
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1)
            proposal = f" Did you mean: {near[0]}?" if near else ""
            raise UsageError(f"--sweep: unknown flag of train.py {name!r}.{proposal}")
        if not typed.isdisjoint((name, f"no{name}")):
            raise UsageError(
                f"{name} is both swept and given: leave --{name} or --sweep of it out."
            )
    sweep = Sweep(space, training_with(training))
    if space:
        try:
            checked_trainings(tuning, sweep)
        except ValueError as error:
            raise UsageError(str(error)) from error
    return sweep


def training_with(training: TrainConfig) -> Callable[[Values], TrainConfig]:
    """What makes a training with other values of its flags; UsageError for wrong ones."""

    def made(values: Values) -> TrainConfig:
        arguments = [*as_arguments(training), *as_flags(values)]
        return dataclass_flags.parse_arguments(TrainConfig, arguments)

    return made
