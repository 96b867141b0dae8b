"""Times each stage of scoring alone: read, decode, resize, infer, write."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.files.read_limits import ReadLimits
from export.images.preprocessing import cut_out, fit
from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.batch import make_rows, run_network, stack_inputs
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.image_file import ImageView, read_image_file
from export.scoring.sources.input import ScoringInput

STAGES = ("read", "decode", "resize", "infer", "write")

_DECODED_AT_ONCE = 8  # Photographs in full size are large.

Clock = Callable[[], float]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclasses.dataclass
class StageTimes:
    """Seconds of each stage for all images together, and of single steps.

    Attributes:
        images: Number of images.
        seconds: Seconds by stage, each alone on all its threads.
        load_seconds: Seconds to read, decode and resize one image, one per image.
        call_seconds: Seconds of one call of the network, one per batch.
    """

    images: int = 0
    seconds: dict[str, float] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(STAGES, 0.0)
    )
    load_seconds: list[float] = dataclasses.field(default_factory=list)
    call_seconds: list[float] = dataclasses.field(default_factory=list)

    def images_per_second(self, stage: str) -> float:
        """Speed of a stage alone."""
        return self.images / max(self.seconds[stage], 1e-9)


class StageClock:
    """Runs functions over items on threads and adds what each stage takes.

    Args:
        threads: Number of threads.
        clock: Gives seconds.
    """

    def __init__(self, threads: int, clock: Clock = time.perf_counter):
        self._pool = ThreadPoolExecutor(threads)
        self._clock = clock
        self.times = StageTimes()

    def __enter__(self) -> "StageClock":
        return self

    def __exit__(self, *exception) -> None:
        self._pool.shutdown()

    def map(
        self, stage: str, function: Callable[[_Item], _Result], items: Sequence[_Item]
    ) -> tuple[list[_Result], list[float]]:
        """Results in order, and the seconds of each item."""

        def timed(item: _Item) -> tuple[_Result, float]:
            start = self._clock()
            return function(item), self._clock() - start

        start = self._clock()
        pairs = list(self._pool.map(timed, items))
        self.times.seconds[stage] += self._clock() - start
        return [result for result, _ in pairs], [seconds for _, seconds in pairs]

    def call(self, stage: str, function: Callable[[], _Result]) -> tuple[_Result, float]:
        """The result of one call, and its seconds."""
        start = self._clock()
        result = function()
        seconds = self._clock() - start
        self.times.seconds[stage] += seconds
        return result, seconds


def time_stages(
    clock: StageClock,
    session: NetworkSession,
    preprocessing: Preprocessing,
    inputs: Sequence[ScoringInput],
    batch_size: int,
    writer: Any,
    limits: ReadLimits,
) -> StageTimes:
    """Times the stages batch by batch, so that memory holds one batch only.

    Args:
        clock: Holds threads that load images.
        session: The network.
        preprocessing: How the job decodes and resizes.
        inputs: Images that can be read.
        batch_size: Images per call of the network.
        writer: What `export.scoring.output.writers.open_writer` gives.
        limits: What reading one image may take.
    """
    thresholds = np.array(session.description.thresholds, np.float32)
    (buffer,) = session.input_buffers(batch_size, 1)
    buffer.upload(session.black_images(batch_size))
    buffer.run(("probabilities",))  # The first call makes the memory that later ones use.
    for batch in batches(inputs, batch_size):
        loaded = []
        for some in batches(batch, _DECODED_AT_ONCE):
            loaded += _load(clock, some, preprocessing, limits)
        stacked = stack_inputs(session, loaded, batch_size)

        def infer(stacked=stacked):
            buffer.upload(stacked.images)
            return run_network(buffer, stacked, ("probabilities",))

        values, seconds = clock.call("infer", infer)
        clock.times.call_seconds.append(seconds)
        clock.call("write", lambda v=values, b=loaded: writer.write(make_rows(b, v, thresholds)))
        clock.times.images += len(batch)
    return clock.times


def batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Consecutive pieces of `size` items; the last may be shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _load(
    clock: StageClock,
    inputs: Sequence[ScoringInput],
    preprocessing: Preprocessing,
    limits: ReadLimits,
) -> list[LoadedInput]:
    """Does what `export.scoring.sources.image_file.load_view` does, stage by stage."""
    encoded, reading = clock.map(
        "read", lambda value: read_image_file(value.path, value.member, limits), inputs
    )
    pieces = list(zip(encoded, inputs, strict=True))
    cuts, decoding = clock.map(
        "decode", lambda piece: cut_out(piece[0], preprocessing, piece[1].box), pieces
    )
    values, resizing = clock.map("resize", lambda cut: fit(cut[0], preprocessing), cuts)
    clock.times.load_seconds += map(sum, zip(reading, decoding, resizing, strict=True))
    return [
        LoadedInput(value, ImageView(image, corners))
        for value, image, (_, corners) in zip(inputs, values, cuts, strict=True)
    ]
