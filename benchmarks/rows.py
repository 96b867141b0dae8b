"""How many rows of 80 labels become Parquet a second, and what the peaks of heatmaps cost a job.

    python -m benchmarks.rows --images=photos --work_dir=/tmp/benchmark

First rows alone, without images and without a network: from the outputs of calls of --batch_size
images (random, about 3 of 80 labels decided) over the parts of a job to its output, as the job does
it, on one thread; without heatmaps, with the peaks of the decided labels, and with those of all 80.

Then whole jobs of `score.py` with a small network, in turn, with `--heatmaps=none` and with
`--heatmaps=peaks`: once with a threshold that decides at least 3 labels of each image, once with
all 80 decided. At most 1.1 times the time of scores alone is the goal.

The first call exports the network; then two minutes on two cores of 2026.
"""

import dataclasses
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absl import app, flags
from pyarrow import parquet

from benchmarks.exported_network import export_network
from benchmarks.photographs import list_photographs
from export.bundle.score_histograms import BINS
from export.scoring.config import ScoringConfig
from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.assembly import assemble
from export.scoring.engine.batch import make_rows
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_record import Job
from export.scoring.engine.parts import ShardFolder, open_shard
from export.scoring.engine.shard import Shard
from export.scoring.job import score
from export.scoring.output.rows import Columns, RowBlock
from export.scoring.runtime.host_limits import available_cores
from export.scoring.sources.image_file import ImageView
from export.scoring.sources.input import ScoringInput

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Keeps network and outputs.", required=True)
_ROWS = flags.DEFINE_integer("rows", 100_000, "Rows without a network.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per call of the network.")
_BACKBONE = flags.DEFINE_string("backbone", "small", "Backbone of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 96, "Height and width of its input.")
_COUNT = flags.DEFINE_integer("count", 2048, "Images of a job; photographs are repeated.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Jobs of each kind.")

_LABELS = tuple(f"label {number}" for number in range(80))
_DECIDED = 3
_GRID = 7
_SHAPES = 64  # Batches of heatmaps that are kept: all would need gigabytes.


class RandomRows:
    """Rows of a job whose images and network are random numbers.

    Args:
        count: Number of rows.
        decided: About how many labels of each are decided.
        with_peaks: Whether they have the column `peaks`.
    """

    def __init__(self, count: int, decided: int, with_peaks: bool):
        self.count = count
        self.columns = Columns(_LABELS, has_peaks=with_peaks)
        generator = np.random.default_rng(0)
        self._probabilities = generator.random((count, len(_LABELS)), np.float32)
        self._thresholds = np.full(len(_LABELS), 1.0 - decided / len(_LABELS), np.float32)
        views = [ImageView(np.zeros(0), (0, 0, 640 - n, 480 - n)) for n in range(100)]
        names = [f"photos/{number:09}.jpg" for number in range(count)]
        pairs = zip(names, itertools.cycle(views), strict=False)
        self._loaded = [LoadedInput(ScoringInput(name, name), view) for name, view in pairs]
        shape = (_SHAPES, _BATCH_SIZE.value, _GRID, _GRID, len(_LABELS))
        self._heatmaps = generator.normal(size=shape if with_peaks else 0).astype(np.float32)
        self._rows = HeatmapRows(_config(heatmaps="peaks"), _LABELS, "", self._thresholds)

    def blocks(self) -> Iterator[RowBlock]:
        """The rows, batch by batch, made from what the network would give."""
        size = _BATCH_SIZE.value
        for first in range(0, self.count, size):
            batch = self._loaded[first : first + size]
            probabilities = self._probabilities[first : first + size]
            block = make_rows(batch, {"probabilities": probabilities}, self._thresholds)
            if self.columns.has_peaks:
                heatmaps = self._heatmaps[first // size % _SHAPES, : len(batch)]
                shown = self._rows.select(block, batch, heatmaps)
                peaks = self._rows.peaks(block, shown, first)
                block = dataclasses.replace(block, peaks=peaks)
            yield block


def _config(**settings: Any) -> ScoringConfig:
    """A config of which nothing is opened."""
    return ScoringConfig("model.onnx", "photos", output="scores.parquet", **settings)


@dataclasses.dataclass(frozen=True)
class Seconds:
    """What something took, by the clock and of the processor (all threads)."""

    clock: float
    processor: float

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.clock + other.clock, self.processor + other.processor)


def timed(function: Callable[[], object]) -> Seconds:
    """What a call takes."""
    clock, processor = time.perf_counter(), time.process_time()
    function()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def time_rows(rows: RandomRows, output: str) -> tuple[Seconds, Seconds]:
    """What it takes until all parts of a job are finished, and from there to its output."""
    settings = {"format": ".parquet", "batch_size": _BATCH_SIZE.value}
    settings |= {"model_sha256": "", "label_names_sha256": "", "provider": ""}
    job = Job(settings, rows.columns, rows.count)
    with open_shard(output, Shard()) as folder:
        folder.begin(job)
        parts = timed(lambda: write_parts(rows, folder))
        return parts, timed(lambda: assemble(output, job, folder.all_parts()))


def write_parts(rows: RandomRows, folder: ShardFolder) -> None:
    """Writes all rows in parts of the size that jobs have."""
    most, blocks = _config().rows_per_part, rows.blocks()
    done, number = 0, 0
    while done < rows.count:
        counts, scores = Counter(), np.zeros((len(_LABELS), BINS), np.int64)
        with folder.new_part(number, counts, scores) as writer:
            while counts.total() < most and (block := next(blocks, None)):
                writer.write(block)
                scores += block.score_counts()
                counts.update(block.statuses)
        done, number = done + counts.total(), number + 1


def measure_rows() -> None:
    """Prints rows a second."""
    output = os.path.join(_WORK_DIR.value, "rows.parquet")
    print("rows/s               to parts   to the output   both   both, a second of the processor")
    for name, decided, with_peaks in (
        ("scores", _DECIDED, False),
        (f"peaks of {_DECIDED}", _DECIDED, True),
        ("peaks of 80", len(_LABELS), True),
    ):
        rows = RandomRows(_ROWS.value, decided, with_peaks)
        parts, whole = time_rows(rows, output)
        both = parts + whole
        seconds = (parts.clock, whole.clock, both.clock, both.processor)
        speeds = [round(rows.count / value) for value in seconds]
        print(f"{name:<18}{speeds[0]:>11}{speeds[1]:>16}{speeds[2]:>7}{speeds[3]:>35}", flush=True)


def measure_jobs() -> None:
    """Prints the times of jobs with peaks over those without."""
    model, _ = export_network(_WORK_DIR.value, _BACKBONE.value, _IMAGE_SIZE.value)
    list_file = os.path.join(_WORK_DIR.value, "photographs.txt")
    list_photographs(_IMAGES.value, _COUNT.value, list_file)
    config = ScoringConfig(
        model,
        list_file,
        output=os.path.join(_WORK_DIR.value, "scores.parquet"),
        overwrite=True,
        providers="cpu",
        batch_size=_BATCH_SIZE.value,
        threshold=0.0,
    )
    score(config)  # Fills the cache of the disk.
    columns = parquet.read_table(config.output, columns=list(_LABELS)).columns
    probabilities = np.stack([column.to_numpy() for column in columns], axis=1)
    lowest = np.partition(probabilities, -_DECIDED, axis=1)[:, -_DECIDED].min()
    for threshold in (float(np.nextafter(lowest, np.float32(0.0))), 0.0):
        decided = (probabilities > np.float32(threshold)).sum(axis=1).mean()
        time_jobs(dataclasses.replace(config, threshold=threshold), decided)


def time_jobs(config: ScoringConfig, decided: float) -> None:
    """Runs a job without and with peaks, in turn, and prints what the peaks cost."""
    alone, peaks = [], []
    with_peaks = dataclasses.replace(config, heatmaps="peaks")
    for _ in range(_ROUNDS.value):
        alone.append(timed(lambda: score(config)))
        peaks.append(timed(lambda: score(with_peaks)))
    clock = [two.clock / one.clock for one, two in zip(alone, peaks, strict=True)]
    processor = [two.processor / one.processor for one, two in zip(alone, peaks, strict=True)]
    speed = _COUNT.value / np.median([one.clock for one in alone])
    print(
        f"{_COUNT.value} images, {_BACKBONE.value}, {_IMAGE_SIZE.value} px, {available_cores()}"
        f" cores, {decided:.1f} labels decided: {speed:.0f} images/s; with peaks"
        f" {np.median(clock):.3f} times the time ({min(clock):.3f} to {max(clock):.3f}),"
        f" {np.median(processor):.3f} times that of the processor",
        flush=True,
    )


def main(_) -> None:
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    measure_rows()
    measure_jobs()


if __name__ == "__main__":
    app.run(main)
