"""Measures how fast a model scores a sample of the images on this host, and with which flags."""

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from export.scoring import parquet_package
from export.scoring.benchmark.fast_decode_effect import FastDecodeEffect, measure_fast_decode
from export.scoring.benchmark.figures import Figures
from export.scoring.benchmark.hill_climb import Setting, Trial, climb
from export.scoring.benchmark.peak_memory import forget_peak, peak_bytes
from export.scoring.benchmark.report import BenchmarkReport
from export.scoring.benchmark.steps import (
    SampleJob,
    measure_job,
    measure_loading,
    measure_network,
    measure_reading,
    measure_rows,
)
from export.scoring.config import THIS_HOST, ScoringConfig
from export.scoring.decoding.batch_loader import BatchLoader, LoadedBatch, open_loader
from export.scoring.decoding.loading import LoadedInput, load
from export.scoring.engine.batch import stack_inputs
from export.scoring.output.writers import check_output, nearest_folder
from export.scoring.runtime.host_facts import CPU
from export.scoring.runtime.host_limits import available_cores, available_memory
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.processor import describe_processor
from export.scoring.sources.input import ScoringInput, Source
from export.scoring.sources.open_source import open_source

# As they are handed out: so that the first and the last of them are little of the whole.
PIECES_OF_A_DECODER = 32
# Of a trial, where the network is so slow that each decoder would not get as many.
TRIAL_SECONDS = 3.0


def benchmark(config: ScoringConfig) -> BenchmarkReport:
    """Measures steps and settings on a sample of the job's images; writes no scores.

    Args:
        config: The job; `batch_size` and `decoders` are where the search begins.

    Raises:
        ValueError: when the model, the images or the folder of the output cannot be used, or no
            image can be scored.
    """
    source = open_source(config.images, config.image_root, config.read_limits)
    return Benchmark(config, source).run()


class Benchmark:
    """The measurements of one model on one sample of images.

    Args:
        config: The job.
        source: All images; a sample, spread evenly, is measured.
    """

    def __init__(self, config: ScoringConfig, source: Source):
        self._config = config
        self._source = source
        devices = self._open()
        self._devices, session = len(devices.sessions), devices.first
        self._provider = session.provider
        self._preprocessing = dataclasses.replace(
            session.description.preprocessing, fast_decode=config.fast_decode
        )
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
        """Looks for the best setting, and then measures the steps with it."""
        count = len(self._inputs)
        start = Setting(min(self._config.batch_size, count), self._config.decoder_count)
        most = Setting(count, max(2 * available_cores(), start.decoders))
        with self._output() as output:
            speed = self._network_speed(self._job(start, output))
            best, trials = climb(
                lambda setting: self._try(self._job(setting, output), speed),
                start,
                most,
                self._memory_limit,
            )
            figures, effect = self._measure_steps(self._job(best, output), speed)
        return BenchmarkReport(
            processor=describe_processor(self._provider)["name"],
            provider=self._provider,
            images=count,
            figures=figures,
            trials=trials,
            best=best,
            memory_limit=self._memory_limit,
            fast_decode=effect,
            uses_fast_decode=self._config.fast_decode,
            left_out=self._left_out,
            devices=self._devices,
        )

    @contextmanager
    def _output(self) -> Iterator[str]:
        """A file that may be written, beside the job's output: on its disk, where one is named."""
        output = self._config.output
        suffix = ".parquet" if parquet_package.is_installed() else ".csv"
        if output:
            suffix = check_output(output)
        beside = nearest_folder(output) if output else None
        with tempfile.TemporaryDirectory(prefix=".benchmark.", dir=beside) as folder:
            yield os.path.join(folder, f"scores{suffix}")

    def _job(self, setting: Setting, output: str) -> SampleJob:
        """A job in sessions of its own: one keeps the memory of the largest batch it has seen."""
        config = dataclasses.replace(
            self._config,
            batch_size=setting.batch_size,
            decoders=setting.decoders,
            output=output,
            metrics_file="",
            metrics_port=0,
            metrics_host=THIS_HOST,
        )
        return SampleJob(config, self._open(), self._inputs, self._source.has_boxes)

    def _open(self) -> NetworkDevices:
        config = self._config
        return NetworkDevices.open(
            config.model, config.providers, config.devices, config.gpu_memory_mb, config.threads
        )

    def _open_loader(self, job: SampleJob) -> AbstractContextManager[BatchLoader]:
        """Of the same decoders as the whole job has, however small the sample is."""
        preprocessing = job.session.description.preprocessing
        return open_loader(job.config, preprocessing, self._source.count, self._devices)

    def _load(self, value: ScoringInput) -> LoadedInput:
        with_picture = self._config.heatmaps == "overlays"
        return load(value, self._preprocessing, with_picture, limits=self._config.read_limits)

    def _batch(self, job: SampleJob) -> LoadedBatch:
        size = job.config.batch_size
        return stack_inputs(job.session, list(map(self._load, job.repeated(size))), size)

    @property
    def _memory_limit(self) -> int:
        return self._config.memory_limit_mb * 2**20 or available_memory() // 2

    def _images(self, job: SampleJob, loader: BatchLoader) -> int:
        """How many images keep decoders at work long enough."""
        at_once = loader.decoders.piece_size * job.config.decoder_count
        return max(len(self._inputs), PIECES_OF_A_DECODER * at_once)

    def _network_speed(self, job: SampleJob) -> float:
        job.devices.warm_up(job.config.batch_size)
        return measure_network(job, self._batch(job)).images_per_second

    def _try(self, job: SampleJob, network_speed: float) -> Trial:
        """Scores images from files to rows with one setting."""
        forget_peak()
        job.devices.warm_up(job.config.batch_size)
        with self._open_loader(job) as loader:
            images = self._job_images(job, loader, network_speed)
            figures = measure_job(job, loader, images)
            return Trial(figures.images_per_second, peak_bytes(loader.decoders.process_numbers))

    def _job_images(self, job: SampleJob, loader: BatchLoader, network_speed: float) -> int:
        most = max(len(self._inputs), int(TRIAL_SECONDS * network_speed))
        return min(self._images(job, loader), most)

    def _measure_steps(
        self, job: SampleJob, network_speed: float
    ) -> tuple[Figures, FastDecodeEffect]:
        job.devices.warm_up(job.config.batch_size)
        files_per_second, batch = measure_reading(job), self._batch(job)
        network, rows = measure_network(job, batch), measure_rows(job, batch)
        with self._open_loader(job) as loader:
            loading = measure_loading(job, loader, self._images(job, loader))
            together = measure_job(job, loader, self._job_images(job, loader, network_speed))
        on_gpu, decoders = self._provider != CPU, job.config.decoder_count
        figures = Figures(
            available_cores(), on_gpu, decoders, files_per_second, loading, network, rows, together
        )
        effect = measure_fast_decode(
            job.session, self._inputs, job.config.batch_size, limits=self._config.read_limits
        )
        return figures, effect


def _sample(source: Source, count: int) -> Sequence[ScoringInput]:
    """Up to `count` inputs, spread evenly over all."""
    count = min(count, source.count)
    rows = set(np.linspace(0, source.count - 1, count).round().astype(int).tolist())
    return [value for row, value in enumerate(source.read()) if row in rows]
