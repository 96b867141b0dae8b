"""Scores the rows of one shard, part by part."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from export.bundle.score_histograms import BINS
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import Loader
from export.scoring.decoding.loading import SlotInputs
from export.scoring.engine.batch import make_rows
from export.scoring.engine.consumer_thread import consume_behind
from export.scoring.engine.error_share import ErrorShare
from export.scoring.engine.heatmap_rows import HeatmapRows, ShownMaps
from export.scoring.engine.job_record import Job
from export.scoring.engine.parts import Part, ShardFolder
from export.scoring.engine.pipeline import run_ahead
from export.scoring.output.rows import RowBlock
from export.scoring.progress.line import Progress
from export.scoring.progress.metrics import JobMetrics
from export.scoring.runtime.graph_fit import EMBEDDINGS, STABILITY
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.sources.input import ScoringInput

SECONDS_PER_PART = 5.0  # So that little work is lost where images are slow, or jobs small.
# While a part is brought to the disk; each holds the heatmaps that its rows show.
_BATCHES_WAITING = 2


def rows_per_part(config: ScoringConfig) -> int:
    """Whole batches: so a row's place in its batch does not depend on where a job went on."""
    return -(-config.rows_per_part // config.batch_size) * config.batch_size


def wanted_outputs(config: ScoringConfig, has_stability: bool) -> tuple[str, ...]:
    """Names of the network's outputs that a job computes.

    Args:
        config: The job.
        has_stability: Whether the network averages views.
    """
    optional = {"logits": config.logits, "heatmaps": config.heatmaps != "none"}
    optional[EMBEDDINGS] = config.embeddings
    optional[STABILITY] = has_stability
    return ("probabilities", *(name for name, is_wanted in optional.items() if is_wanted))


@dataclasses.dataclass(frozen=True)
class ScoredBatch:
    """What is kept of a batch when the network is done with it: not its pixels.

    Attributes:
        first_row: Number of its first slot's row in the whole job.
        slots: Which slots hold rows that are scored.
        block: A row for each slot.
        shown: The heatmaps that they show, where asked for.
    """

    first_row: int
    slots: Sequence[int]
    block: RowBlock
    shown: ShownMaps | None


class ShardScorer:
    """Turns loaded inputs into the parts of a shard.

    Args:
        config: The job.
        devices: The network.
        job: Its thresholds, label groups and columns.
        heatmaps: Makes what the job asks for of heatmaps.
        failed_before: How many rows may fail again.
    """

    def __init__(
        self,
        config: ScoringConfig,
        devices: NetworkDevices,
        job: Job,
        heatmaps: HeatmapRows,
        failed_before: int = 0,
    ):
        self._config = config
        self._failed_before = failed_before
        self._devices = devices
        self._thresholds, self._groups = job.thresholds, job.label_groups
        self._embedding_size = job.columns.embedding_size
        self._heatmaps = heatmaps
        self._outputs = wanted_outputs(config, job.columns.has_stability)

    def write_parts(
        self,
        folder: ShardFolder,
        rows: Sequence[int],
        inputs: Iterator[ScoringInput],
        loader: Loader,
        finished: Sequence[Part],
        metrics: JobMetrics,
    ) -> None:
        """Writes the parts behind those that are finished; without any to write does nothing.

        Args:
            folder: Where they go.
            rows: Ascending numbers, in the whole job, of all rows that the folder is to have.
            inputs: Of those rows that are not finished, in order.
            loader: Loads them.
            finished: The parts that are there.
            metrics: Told of each batch.

        Raises:
            ValueError: when most images fail, or fewer rows come than the job has.
        """
        done = sum(part.rows for part in finished)
        if done == len(rows):
            return
        self._heatmaps.begin(rows[done:])
        write = functools.partial(self._write_parts, folder, len(rows), finished, metrics)
        with (
            consume_behind(write, _BATCHES_WAITING) as put,
            contextlib.closing(self._scored(rows[done:], inputs, loader)) as scored,
        ):
            for batch in scored:
                put(batch)

    def _write_parts(
        self,
        folder: ShardFolder,
        total: int,
        finished: Sequence[Part],
        metrics: JobMetrics,
        scored: Iterator[ScoredBatch],
    ) -> None:
        """The part of `write_parts` that runs on a thread of its own: from scores to files."""
        error_share = ErrorShare(self._config.max_error_share, expected=self._failed_before)
        number, done = len(finished), sum(part.rows for part in finished)
        with Progress(total, done, self._devices.images) as progress:
            while done < total:
                counts: collections.Counter[str] = collections.Counter()
                scores = np.zeros((len(self._thresholds), BINS), np.int64)
                error_share.begin_part()
                with folder.new_part(number, counts, scores) as writer:
                    for block in self._blocks_of_part(scored):
                        writer.write(block)
                        counts.update(block.statuses)
                        scores += block.score_counts()
                        error_share.update(block.statuses, block.errors)
                        errors = sum(status != "ok" for status in block.statuses)
                        progress.update(len(block.inputs), errors)
                        metrics.update(collections.Counter(block.statuses))
                    self._heatmaps.end_part()
                done, number = done + counts.total(), number + 1

    def _blocks_of_part(self, scored: Iterator[ScoredBatch]) -> Iterator[RowBlock]:
        """The rows of the next batches, until a part has its rows or its seconds; at least one."""
        rows, start = 0, time.monotonic()
        for batch in scored:
            block = self._rows(batch)
            yield block
            rows += len(block.inputs)
            is_full = rows >= self._config.rows_per_part
            if is_full or time.monotonic() - start >= SECONDS_PER_PART:
                return

    def blocks(
        self, rows: Sequence[int], inputs: Iterator[ScoringInput], loader: Loader
    ) -> Generator[RowBlock, None, None]:
        """The scores of the rows with these ascending numbers, whose inputs these are.

        Each row is computed in the slot of the batch where the whole job has it, whether its
        neighbours are scored or not: so its scores are the same to the last bit.
        """
        with contextlib.closing(self._scored(rows, inputs, loader)) as scored:
            yield from map(self._rows, scored)

    def _scored(
        self, rows: Sequence[int], inputs: Iterator[ScoringInput], loader: Loader
    ) -> Generator[ScoredBatch, None, None]:
        size = self._config.batch_size
        batches = self._batches(rows, inputs)
        outputs = run_ahead(self._devices, loader, batches, self._outputs)
        with contextlib.closing(outputs):
            slots_by_batch = _slots_by_batch(rows, size)
            for (number, slots), (batch, values) in zip(slots_by_batch, outputs, strict=True):
                rule = self._thresholds, self._embedding_size, self._groups
                block = make_rows(batch, values, *rule)
                shown = None
                if "heatmaps" in self._outputs:
                    shown = self._heatmaps.select(block, batch, values.get("heatmaps"))
                yield ScoredBatch(number * size, slots, block, shown)

    def _rows(self, scored: ScoredBatch) -> RowBlock:
        """The rows of a batch, with their heatmaps, whose files are written."""
        block = scored.block
        if scored.shown is not None:
            peaks = self._heatmaps.peaks(block, scored.shown, scored.first_row)
            block = dataclasses.replace(block, peaks=peaks)
        return block.take(scored.slots)

    def _batches(self, rows: Sequence[int], inputs: Iterator[ScoringInput]) -> Iterator[SlotInputs]:
        for _, slots in _slots_by_batch(rows, self._config.batch_size):
            batch = list(zip(slots, itertools.islice(inputs, len(slots)), strict=False))
            if len(batch) < len(slots):
                raise ValueError(f"{self._config.images!r} lost rows while it was read.")
            yield batch


def _slots_by_batch(rows: Sequence[int], batch_size: int) -> Iterator[tuple[int, list[int]]]:
    """The numbers of the batches that hold the rows, and which of their slots do."""
    for number, group in itertools.groupby(map(int, rows), lambda row: row // batch_size):
        yield number, [row % batch_size for row in group]
