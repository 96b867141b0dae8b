"""One input of a job, from its file to its slot in a batch."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.files.read_limits import DEFAULT_LIMITS, ReadLimits
from export.images.decoding_memory import Budget
from export.images.image_header import ImageError
from export.scoring.sources.image_file import ImageView, load_view
from export.scoring.sources.input import ScoringInput

# Slots of a batch, ascending, each with its input.
SlotInputs = Sequence[tuple[int, ScoringInput]]


@dataclasses.dataclass(frozen=True)
class LoadedInput:
    """An input with its pixels, or with the reason why there are none."""

    scoring_input: ScoringInput
    view: ImageView | None = None
    error: ImageError | None = None


@dataclasses.dataclass(frozen=True)
class LoadingSettings:
    """How all inputs of a job are loaded; can be pickled.

    Attributes:
        preprocessing: What the model wants.
        with_picture: Whether to keep what the network sees as a picture.
        limits: What reading a file may take.
        load: Loads one input, given with these settings and the budget.
    """

    preprocessing: Preprocessing
    with_picture: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    load: Callable[..., LoadedInput] = dataclasses.field(default_factory=lambda: load_with_settings)


def load(
    scoring_input: ScoringInput,
    preprocessing: Preprocessing,
    with_picture: bool = False,
    budget: Budget | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> LoadedInput:
    """`load_view`, whose arguments these are; a bad input gets its error instead of pixels."""
    try:
        view = load_view(scoring_input, preprocessing, with_picture, budget, limits)
        return LoadedInput(scoring_input, view)
    except ImageError as error:
        return LoadedInput(scoring_input, error=error)


def load_with_settings(
    scoring_input: ScoringInput, settings: LoadingSettings, budget: Budget
) -> LoadedInput:
    """`load` as the settings say."""
    return load(
        scoring_input, settings.preprocessing, settings.with_picture, budget, settings.limits
    )


def load_into(
    slot: np.ndarray, scoring_input: ScoringInput, settings: LoadingSettings, budget: Budget
) -> LoadedInput:
    """Loads an input into its slot of a batch; a bad input leaves a black image there.

    Args:
        slot: `[height, width, 3]`, overwritten.
        scoring_input: The input.
        settings: How it is loaded.
        budget: Memory that all decoders share.

    Returns:
        The input, its values being those of the slot.
    """
    loaded = settings.load(scoring_input, settings, budget)
    if loaded.view is None:
        slot[:] = 0
        return loaded
    slot[:] = loaded.view.values
    return dataclasses.replace(loaded, view=dataclasses.replace(loaded.view, values=slot))
