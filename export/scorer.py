"""Batch scoring: every input gets exactly one row, in input order, whatever happens to it."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from export.config import ScoringConfig
from export.image_file import load_input
from export.image_header import ImageError
from export.preprocessing import Preprocessing
from export.progress import Progress
from export.rows import Columns, RowBlock
from export.session import NetworkSession
from export.sources import ScoringInput, open_source
from export.writers import check_output, open_writer

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class ScoringReport:
    """What a scoring job did.

    Attributes:
        counts: Number of rows by status, `ok` first.
        seconds: Wall time from the first image to the finished file.
        output: The file written.
        provider: Execution provider that the network ran on.
        left_out: Files of the folder that were left out for their suffix.
    """

    counts: Mapping[str, int]
    seconds: float
    output: str
    provider: str
    left_out: int = 0

    @property
    def errors(self) -> int:
        """Number of rows without scores."""
        return sum(self.counts.values()) - self.counts["ok"]

    def __str__(self) -> str:
        rows = sum(self.counts.values())
        counts = ", ".join(f"{status}: {count}" for status, count in self.counts.items())
        left_out = f" ({self.left_out} files are no images)" if self.left_out else ""
        return (
            f"{rows} images{left_out} in {self.seconds:.1f} s on {self.provider} ->"
            f" {self.output}; {counts}; errors: {self.errors}"
        )


def score(config: ScoringConfig) -> ScoringReport:
    """Scores all images of a job and writes one row for each.

    Raises:
        ValueError: when the model, the images or the output cannot be used at all. A single bad
            image is no exception but a row with its status.
    """
    check_output(config.output)
    session = NetworkSession(config.model, config.providers)
    source = open_source(config.images, config.image_root)
    description = session.description
    thresholds = np.array(description.thresholds, np.float32)
    if config.threshold >= 0.0:
        thresholds[:] = config.threshold

    start = time.monotonic()
    counts = collections.Counter({"ok": 0})
    load = functools.partial(_load, preprocessing=description.preprocessing)
    columns = Columns(description.label_names, source.has_boxes)
    with (
        open_writer(config.output, columns) as writer,
        Progress(source.count) as progress,
        # Two batches ahead: one is decoded while the network computes another.
        map_ahead(load, source.read(), config.decoders, 2 * config.batch_size) as loaded,
    ):
        while batch := list(itertools.islice(loaded, config.batch_size)):
            block = score_batch(session, thresholds, batch, config.batch_size)
            writer.write(block)
            counts.update(block.statuses)
            progress.update(len(batch), sum(status != "ok" for status in block.statuses))
    seconds = time.monotonic() - start
    return ScoringReport(counts, seconds, config.output, session.provider, source.left_out)


@dataclasses.dataclass(frozen=True)
class LoadedInput:
    """An input with its pixels, or with the reason why there are none."""

    scoring_input: ScoringInput
    pixels: np.ndarray | None = None
    error: ImageError | None = None


def _load(scoring_input: ScoringInput, preprocessing: Preprocessing) -> LoadedInput:
    try:
        return LoadedInput(scoring_input, load_input(scoring_input, preprocessing))
    except ImageError as error:
        return LoadedInput(scoring_input, error=error)


def score_batch(
    session: NetworkSession,
    thresholds: np.ndarray,
    batch: list[LoadedInput],
    batch_size: int,
) -> RowBlock:
    """Runs the network on up to `batch_size` inputs.

    The batch always has its full size: row i of the result comes from slot i, and the slots of
    failed inputs and behind the last input are black images whose outputs are dropped. So no row
    can shift, and a GPU sees one shape only.

    Args:
        session: The network.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        batch: The loaded inputs.
        batch_size: Number of slots.
    """
    preprocessing = session.description.preprocessing
    shape = (batch_size, preprocessing.height, preprocessing.width, 3)
    images = np.zeros(shape, preprocessing.input_dtype)
    for slot, loaded in enumerate(batch):
        if loaded.error is None:
            images[slot] = loaded.pixels
    statuses = ["ok" if loaded.error is None else loaded.error.status for loaded in batch]
    errors = [None if loaded.error is None else str(loaded.error) for loaded in batch]
    probabilities = np.zeros((len(batch), len(thresholds)), np.float32)
    if "ok" in statuses:
        probabilities = session.run(images, ("probabilities",))["probabilities"][: len(batch)]
    for row in np.flatnonzero(~np.isfinite(probabilities).all(axis=1)):
        if statuses[row] == "ok":
            statuses[row] = "not_finite"
            errors[row] = "The network's probabilities are not finite."
    scored = np.array([status == "ok" for status in statuses])
    decisions = (probabilities > thresholds) & scored[:, None]
    inputs = [loaded.scoring_input for loaded in batch]
    return RowBlock(inputs, statuses, errors, probabilities, decisions)


@contextlib.contextmanager
def map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, ahead: int
) -> Iterator[Iterator[_Result]]:
    """The results of `function` in the order of `items`, computed by threads.

    At most `ahead` results wait at any time, so memory does not grow with the number of items.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        yield _results_in_order(pool, function, iter(items), ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _results_in_order(pool, function, items, ahead) -> Iterator:
    waiting = collections.deque(pool.submit(function, i) for i in itertools.islice(items, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
        yield result
