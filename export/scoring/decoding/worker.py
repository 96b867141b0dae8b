"""What a decoder process does: loads pieces of batches into shared memory until nobody asks."""

import contextlib
import dataclasses
import os
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from export.images.image_header import ImageError
from export.scoring.decoding.loading import LoadedInput, LoadingSettings, load_into
from export.scoring.decoding.shared_budget import SharedBudget
from export.scoring.decoding.shared_memory import map_array
from export.scoring.sources.image_file import ImageView
from export.scoring.sources.input import ScoringInput


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """What a decoder process is told first.

    Attributes:
        loading: How inputs are loaded.
        shape: Of the ring: `[batches, slots, height, width, 3]`.
        dtype: Of the ring.
        processes: How many decoders there are.
        place: Which of them it is.
        most_bytes: What images being decoded may take in all of them together.
    """

    loading: LoadingSettings
    shape: tuple[int, ...]
    dtype: str
    processes: int
    place: int
    most_bytes: int


# Without the pixels, which lie in the ring: corners and picture, or status and message.
Outcome = tuple[bool, Any, Any]


def encode(loaded: LoadedInput) -> Outcome:
    """What is sent of a loaded input."""
    if loaded.view is not None:
        return True, loaded.view.corners, loaded.view.picture
    if loaded.error is None:
        raise ValueError(f"{loaded.scoring_input} has neither a view nor an error.")
    return False, loaded.error.status, str(loaded.error)


def decode(outcome: Outcome, scoring_input: ScoringInput, slot: np.ndarray) -> LoadedInput:
    """Reads `encode` back.

    Args:
        outcome: From `encode`.
        scoring_input: The input.
        slot: Its slot of the ring.
    """
    is_loaded, first, second = outcome
    if is_loaded:
        return LoadedInput(scoring_input, ImageView(slot, first, second))
    return LoadedInput(scoring_input, error=ImageError(first, second))


def work(connection_descriptor: int, ring_descriptor: int, budget_descriptor: int) -> None:
    """Answers `(batch, [(slot, input), ...])` with their outcomes, or with the text of a fault."""
    connection = Connection(connection_descriptor)
    # Who asks is gone: killed, perhaps.
    with contextlib.suppress(EOFError, ConnectionError):
        settings: WorkerSettings = connection.recv()
        ring = map_array(ring_descriptor, settings.shape, settings.dtype)
        budget = SharedBudget(
            budget_descriptor, settings.processes, settings.place, settings.most_bytes
        )
        connection.send(os.getpid())  # Ready.
        while True:
            batch, inputs = connection.recv()
            answer: list[Outcome] | str
            try:
                answer = [
                    encode(load_into(ring[batch, slot], value, settings.loading, budget))
                    for slot, value in inputs
                ]
            except Exception as error:  # A fault of the program: raised again by who waits.
                answer = "".join(traceback.format_exception(error))
            connection.send(answer)
