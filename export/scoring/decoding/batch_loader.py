"""Batches of a job, loaded ahead of the network into memory that it reads."""

import collections
import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError
from export.scoring.config import ScoringConfig
from export.scoring.decoding.decoder_threads import DecoderThreads
from export.scoring.decoding.loading import LoadedInput, LoadingSettings, SlotInputs
from export.scoring.sources.input import ScoringInput

if TYPE_CHECKING:
    from export.scoring.decoding.decoder_processes import DecoderProcesses

_LOGGER = logging.getLogger(__name__)

# Threads are done with fewer before processes have started.
FEWEST_FOR_PROCESSES = 256
# Being loaded, and loaded, one each, beside those that the network has.
_BATCHES_AHEAD = 2
# One that a device computes, and one that comes to it or that the caller is at.
BATCHES_PER_DEVICE = 2
# Pieces of each process that are worked at or on their way while the batches above are full.
_PIECES = 2

# Its slot of the batch is a black image, as that of an input that cannot be read.
NOT_SCORED = LoadedInput(ScoringInput("", ""), error=ImageError("not_scored", ""))


@dataclasses.dataclass(frozen=True)
class LoadedBatch:
    """One call of the network.

    Attributes:
        inputs: By slot, up to the last one that has an input.
        images: `[slots, height, width, 3]`; slots without an image are black.
    """

    inputs: list[LoadedInput]
    images: np.ndarray

    @property
    def is_empty(self) -> bool:
        """Whether no slot has an image."""
        return all(loaded.view is None for loaded in self.inputs)


class Loader(Protocol):
    """What the network needs of a `BatchLoader`, whose attributes and method these are."""

    images: np.ndarray
    kept: int

    def load(self, batches: Iterable[SlotInputs]) -> Iterator[LoadedBatch]:
        """As `BatchLoader.load`."""


# Slots of a batch, and what they will hold.
_Loading = list[tuple[list[int], Future[list[LoadedInput]]]]


class BatchLoader:
    """Loads batches, some ahead, in order.

    Attributes:
        images: The memory of all batches that are under way, `[batches, slots, height, width, 3]`.
        decoders: Who loads.
        kept: How many batches stay as they are, the newest among them.

    Args:
        decoders: Who loads.
        kept: So many.
    """

    def __init__(
        self, decoders: "DecoderProcesses | DecoderThreads", kept: int = BATCHES_PER_DEVICE
    ):
        self.decoders = decoders
        self.images = decoders.images
        self.kept = kept

    def load(self, batches: Iterable[SlotInputs]) -> Iterator[LoadedBatch]:
        """Loads batches, whose images stay as they are until `kept` others have been asked for.

        The network's input always has its full size: row i of the outputs comes from slot i. So no
        row can shift, and a GPU sees one shape only.

        Args:
            batches: Slot and input of each image of a batch, by ascending slot.
        """
        batches, places = iter(batches), itertools.cycle(range(len(self.images)))
        waiting: collections.deque[tuple[int, _Loading]] = collections.deque()
        most = len(self.images) - self.kept + 1
        while True:
            for inputs in itertools.islice(batches, most - len(waiting)):
                waiting.append(self._submit(next(places), inputs))
            if not waiting:
                return
            place, futures = waiting.popleft()
            yield LoadedBatch(self._collect(futures), self.images[place])

    def _submit(self, place: int, inputs: SlotInputs) -> tuple[int, _Loading]:
        slots, size = [slot for slot, _ in inputs], self.decoders.piece_size
        if len(slots) < self.images.shape[1]:
            self.images[place, np.delete(np.arange(self.images.shape[1]), slots)] = 0
        futures = [
            (slots[first : first + size], self.decoders.submit(place, inputs[first : first + size]))
            for first in range(0, len(inputs), size)
        ]
        return place, futures

    @staticmethod
    def _collect(futures: _Loading) -> list[LoadedInput]:
        loaded = [NOT_SCORED] * (futures[-1][0][-1] + 1)
        for slots, future in futures:
            for slot, value in zip(slots, future.result(), strict=True):
                loaded[slot] = value
        return loaded


@contextlib.contextmanager
def open_loader(
    config: ScoringConfig, preprocessing: Preprocessing, rows: int, devices: int = 1
) -> Iterator[BatchLoader]:
    """A loader with the decoders of a job, which end with the body.

    Args:
        config: The job, its batch size settled.
        preprocessing: What the model wants.
        rows: How many images there are to load.
        devices: How many devices compute the network.
    """
    kept = BATCHES_PER_DEVICE * devices
    decoders = _start_decoders(config, preprocessing, rows, kept)
    try:
        yield BatchLoader(decoders, kept)
    finally:
        decoders.close()


def _start_decoders(
    config: ScoringConfig, preprocessing: Preprocessing, rows: int, kept: int
) -> "DecoderThreads | DecoderProcesses":
    settings = LoadingSettings(
        dataclasses.replace(preprocessing, fast_decode=config.fast_decode),
        config.heatmaps == "overlays",
        config.read_limits,
    )
    count, slots = config.decoder_count, config.batch_size
    arguments = (preprocessing.input_dtype, config.decoding_memory_bytes)
    image = (preprocessing.height, preprocessing.width, 3)
    if count > 1 and rows >= FEWEST_FOR_PROCESSES:
        # Here: a job of one image does not wait for what it imports.
        from export.scoring.decoding.decoder_processes import DecoderProcesses

        batches = ring_batches(count, slots, DecoderProcesses.piece_size, kept)
        try:
            return DecoderProcesses(count, settings, (batches, slots, *image), *arguments)
        except OSError as error:
            _LOGGER.warning(
                "Images are decoded by threads of one process, at most some 800 a second: %s."
                " --decoders=1 says so without a warning.",
                error,
            )
    return DecoderThreads(count, settings, (kept + _BATCHES_AHEAD, slots, *image), *arguments)


def ring_batches(
    processes: int, slots: int, piece_size: int, kept: int = BATCHES_PER_DEVICE
) -> int:
    """How many batches of so many slots are under way, so that no process waits for work."""
    images = processes * _PIECES * min(piece_size, slots)
    return kept + _BATCHES_AHEAD - 1 + -(-images // slots)
