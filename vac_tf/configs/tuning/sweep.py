"""A sweep: what is varied, and the training that some values of it make."""

import dataclasses
from collections.abc import Callable

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.configs.tuning.space import Space
from vac_tf.configs.tuning.trials import Values, drawn, ends, grid, in_words


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is varied.

    Attributes:
        space: the flags and their values.
        training_of: the training that some values make of that of all trials; ValueError for
            values that a flag refuses.
    """

    space: Space
    training_of: Callable[[Values], TrainConfig]


def planned_trials(tuning: TuningConfig, space: Space) -> list[Values]:
    """The trials that are known before any has run: none of those that Optuna asks for."""
    if tuning.sampler == "grid":
        return grid(space)
    if tuning.sampler == "random":
        return [drawn(space, number, tuning.sampler_seed) for number in range(tuning.trials)]
    return []


def checked_trainings(tuning: TuningConfig, sweep: Sweep) -> list[tuple[Values, TrainConfig]]:
    """Values and training of every planned trial, and of the ends of ranges that are drawn from.

    Raises:
        ValueError: naming the first trial that a flag refuses.
    """
    values = planned_trials(tuning, sweep.space)
    if tuning.sampler != "grid":
        values += ends(sweep.space)
    trainings = []
    for each in values:
        try:
            trainings.append((each, sweep.training_of(each)))
        except ValueError as error:
            raise ValueError(f"Trial {in_words(each)}: {error}") from error
    return trainings
