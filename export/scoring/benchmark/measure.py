"""Measures how fast a model scores a sample of the images on this host, and with which flags."""

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from export.scoring.benchmark.fast_decode_effect import measure_fast_decode
from export.scoring.benchmark.hill_climb import Setting, Trial, climb
from export.scoring.benchmark.peak_memory import forget_peak, peak_bytes
from export.scoring.benchmark.report import BenchmarkReport
from export.scoring.benchmark.stages import Clock, StageClock, batches, time_stages
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import open_loader
from export.scoring.decoding.loading import LoadedInput, load
from export.scoring.engine.batch import make_rows
from export.scoring.engine.pipeline import run_ahead
from export.scoring.output.rows import Columns
from export.scoring.output.writers import check_output, open_writer
from export.scoring.runtime.host_limits import available_cores, available_memory
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.sources.input import ScoringInput, Source
from export.scoring.sources.open_source import open_source


def benchmark(config: ScoringConfig, clock: Clock = time.perf_counter) -> BenchmarkReport:
    """Measures stages and settings on a sample of the job's images; writes no scores.

    Args:
        config: The job; `batch_size` and `decoders` are where the search begins.
        clock: Gives seconds.

    Raises:
        ValueError: when the model or the images cannot be used, or no image can be scored.
    """
    source = open_source(config.images, config.image_root, config.read_limits)
    config = dataclasses.replace(config, output=config.output or "scores.parquet")
    return Benchmark(config, source, clock).run()


class Benchmark:
    """The measurements of one model on one sample of images.

    Args:
        config: The job.
        source: All images; a sample, spread evenly, is measured.
        clock: Gives seconds.
    """

    def __init__(self, config: ScoringConfig, source: Source, clock: Clock):
        self._config = config
        self._clock = clock
        session = self._open().first
        self._provider = session.provider
        self._columns = Columns(session.description.label_names, source.has_boxes)
        self._preprocessing = dataclasses.replace(
            session.description.preprocessing, fast_decode=config.fast_decode
        )
        self._thresholds = np.array(session.description.thresholds, np.float32)
        sample = _sample(source, config.benchmark_images)
        # Also puts the files into the cache of the disk: all settings are to find them there.
        self._inputs = [value for value in sample if not self._load(value).error]
        self._left_out = len(sample) - len(self._inputs)
        if not self._inputs:
            raise ValueError(
                f"None of {len(sample)} images of {config.images!r} can be loaded. Score them"
                " first: the rows say why."
            )

    def run(self) -> BenchmarkReport:
        """Measures everything."""
        images = len(self._inputs)
        start = Setting(min(self._config.batch_size, images), self._config.decoder_count)
        most = Setting(images, max(2 * available_cores(), start.decoders))
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, f"scores{check_output(self._config.output)}")
            with (
                StageClock(start.decoders, self._clock) as clock,
                open_writer(output, self._columns) as writer,
            ):
                inputs = self._whole_batches(start.batch_size)
                devices, limits = self._open(), self._config.read_limits
                session = devices.first
                stages = time_stages(
                    clock, session, self._preprocessing, inputs, start.batch_size, writer, limits
                )
                effect = measure_fast_decode(
                    session, self._inputs, start.batch_size, self._clock, limits
                )
            # One device was measured. All compute so many times as much, if nothing holds them up.
            count = len(devices.sessions)
            stages.seconds["infer"] /= count
            del session, devices  # Their memory is not that of the settings below.
            best, trials = climb(
                lambda setting: self._measure(setting, output), start, most, self._memory_limit
            )
        return BenchmarkReport(
            provider=self._provider,
            start=start,
            stages=stages,
            trials=trials,
            best=best,
            memory_limit=self._memory_limit,
            fast_decode=effect,
            uses_fast_decode=self._config.fast_decode,
            left_out=self._left_out,
            devices=count,
        )

    def _load(self, value: ScoringInput) -> LoadedInput:
        return load(value, self._preprocessing, limits=self._config.read_limits)

    def _open(self) -> NetworkDevices:
        config = self._config
        return NetworkDevices.open(
            config.model, config.providers, config.devices, config.gpu_memory_mb, config.threads
        )

    @property
    def _memory_limit(self) -> int:
        return self._config.memory_limit_mb * 2**20 or available_memory() // 2

    def _whole_batches(self, batch_size: int) -> Sequence[ScoringInput]:
        """As many images as fill batches: a part of one costs the network as much as a whole."""
        return self._inputs[: len(self._inputs) // batch_size * batch_size]

    def _measure(self, setting: Setting, output: str) -> Trial:
        """Scores the sample from files to rows.

        In sessions of its own: one keeps the memory of the largest batch that it has seen.
        """
        config = dataclasses.replace(
            self._config, batch_size=setting.batch_size, decoders=setting.decoders
        )
        inputs = self._whole_batches(setting.batch_size)
        forget_peak()
        devices = self._open()
        devices.warm_up(setting.batch_size)
        count = len(devices.sessions)
        with (
            open_writer(output, self._columns) as writer,
            open_loader(config, self._preprocessing, len(inputs), count) as loader,
        ):
            start = self._clock()
            full = map(list, map(enumerate, batches(inputs, setting.batch_size)))
            for batch, values in run_ahead(devices, loader, full, ("probabilities",)):
                writer.write(make_rows(batch, values, self._thresholds))
            seconds = self._clock() - start
            return Trial(len(inputs) / seconds, peak_bytes(loader.decoders.process_numbers))


def _sample(source: Source, count: int) -> Sequence[ScoringInput]:
    """Up to `count` inputs, spread evenly over all."""
    count = min(count, source.count)
    rows = set(np.linspace(0, source.count - 1, count).round().astype(int).tolist())
    return [value for row, value in enumerate(source.read()) if row in rows]
