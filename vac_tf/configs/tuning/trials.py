"""The trials of a sweep that are known before any of them has run."""

import itertools
import random

from vac_tf.configs.tuning.space import Choices, Space

# Flag -> its value, as it is typed.
Values = dict[str, str]


def grid(space: Space) -> list[Values]:
    """Every combination; the last flag varies fastest.

    Raises:
        ValueError: a range has no list of values.
    """
    for name, values in space.items():
        if not isinstance(values, Choices):
            raise ValueError(
                f"--sweep: {name} is a range, of which a grid has no values: list them, or add"
                " --sampler=random --trials=20."
            )
    lists = [values.values for values in space.values()]
    return [dict(zip(space, combination, strict=True)) for combination in itertools.product(*lists)]


def drawn(space: Space, number: int, seed: int) -> Values:
    """Trial `number` of a random search: each depends on its own number alone.

    Source: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012.
    """
    # Of text: the same values in every version and process.
    generator = random.Random(f"{seed} {number}")
    return {name: values.at(generator.random()) for name, values in space.items()}


def ends(space: Space) -> list[Values]:
    """Trials in which each flag takes every listed value, or both ends of its range, once."""
    tried = {
        name: values.values
        if isinstance(values, Choices)
        else (values.typed(values.low), values.typed(values.high))
        for name, values in space.items()
    }
    longest = max(map(len, tried.values()))
    return [
        {name: values[number % len(values)] for name, values in tried.items()}
        for number in range(longest)
    ]


def in_words(values: Values) -> str:
    """Values as flags."""
    return " ".join(as_flags(values))


def as_flags(values: Values) -> list[str]:
    """Values as arguments of a command line."""
    return [f"--{name}={value}" for name, value in values.items()]
