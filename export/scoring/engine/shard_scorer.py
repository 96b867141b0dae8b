"""Scores the rows of one shard, part by part."""

import collections
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence

import numpy as np

from export.scoring.config import ScoringConfig
from export.scoring.engine.batch import LoadedInput, make_rows
from export.scoring.engine.error_share import ErrorShare
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.parts import Part, ShardFolder
from export.scoring.engine.pipeline import run_ahead
from export.scoring.output.rows import RowBlock
from export.scoring.progress.line import Progress
from export.scoring.progress.metrics import JobMetrics
from export.scoring.runtime.session import NetworkSession

SECONDS_PER_PART = 5.0  # So that little work is lost where images are slow, or jobs small.


def rows_per_part(config: ScoringConfig) -> int:
    """Whole batches: so a row's place in its batch does not depend on where a job went on."""
    return -(-config.rows_per_shard // config.batch_size) * config.batch_size


class ShardScorer:
    """Turns loaded inputs into the parts of a shard.

    Args:
        config: The job.
        session: The network.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        heatmaps: Makes what the job asks for of heatmaps.
    """

    def __init__(
        self,
        config: ScoringConfig,
        session: NetworkSession,
        thresholds: np.ndarray,
        heatmaps: HeatmapRows,
    ):
        self._config = config
        self._session = session
        self._thresholds = thresholds
        self._heatmaps = heatmaps
        optional = {"logits": config.logits, "heatmaps": config.heatmaps != "none"}
        wanted = tuple(name for name, is_wanted in optional.items() if is_wanted)
        self._outputs = ("probabilities", *wanted)

    def write_parts(
        self,
        folder: ShardFolder,
        loaded: Iterator[LoadedInput],
        finished: Sequence[Part],
        metrics: JobMetrics,
    ) -> None:
        """Writes the parts behind those that are finished; without any to write does nothing.

        Raises:
            ValueError: when most images fail, or fewer rows come than the job has.
        """
        shard_rows = folder.shard.rows(folder.job.rows, self._config.batch_size)
        done = sum(part.rows for part in finished)
        rows_to_do = shard_rows[done:]
        if not rows_to_do:
            return
        error_share = ErrorShare(self._config.max_error_share)
        self._heatmaps.begin(rows_to_do)
        with (
            Progress(len(shard_rows), done) as progress,
            contextlib.closing(self.blocks(rows_to_do, loaded)) as blocks,
        ):
            number = len(finished)
            while done < len(shard_rows):
                counts = collections.Counter()
                error_share.begin_part()
                with folder.new_part(number, counts) as writer:
                    for block in self._blocks_of_part(blocks):
                        writer.write(block)
                        counts.update(block.statuses)
                        error_share.update(block.statuses, block.errors)
                        errors = sum(status != "ok" for status in block.statuses)
                        progress.update(len(block.inputs), errors)
                        metrics.update(collections.Counter(block.statuses))
                    self._heatmaps.end_part()
                done, number = done + counts.total(), number + 1

    def _blocks_of_part(self, blocks: Iterator[RowBlock]) -> Iterator[RowBlock]:
        """The next blocks, until a part has its rows or its seconds; at least one."""
        rows, start = 0, time.monotonic()
        for block in blocks:
            yield block
            rows += len(block.inputs)
            is_full = rows >= self._config.rows_per_shard
            if is_full or time.monotonic() - start >= SECONDS_PER_PART:
                return

    def blocks(self, rows: range, loaded: Iterator[LoadedInput]) -> Iterator[RowBlock]:
        """The scores of the rows with these numbers."""
        size = self._config.batch_size
        batches = self._batches(rows, loaded)
        scored = run_ahead(self._session, batches, size, self._outputs)
        with contextlib.closing(scored):
            for first_row, (batch, values) in zip(rows[::size], scored, strict=True):
                block = make_rows(batch, values, self._thresholds)
                if "heatmaps" in self._outputs:
                    peaks = self._heatmaps.peaks(block, batch, values.get("heatmaps"), first_row)
                    block = dataclasses.replace(block, peaks=peaks)
                yield block

    def _batches(self, rows: range, loaded: Iterator[LoadedInput]) -> Iterator[list[LoadedInput]]:
        size = self._config.batch_size
        for first in range(0, len(rows), size):
            count = len(rows[first : first + size])
            batch = list(itertools.islice(loaded, count))
            if len(batch) < count:
                raise ValueError(f"{self._config.images!r} lost rows while it was read.")
            yield batch
