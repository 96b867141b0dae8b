"""Measures the steps of scoring, each alone and all together, in the pipeline of real jobs."""

import contextlib
import dataclasses
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from export.files.remote_files import is_url, local_path
from export.scoring.benchmark.figures import (
    JobFigures,
    LoadingFigures,
    NetworkFigures,
    RowFigures,
)
from export.scoring.benchmark.lock_wait import LockWait
from export.scoring.benchmark.processor_time import ThreadTime, thread_times, time_between
from export.scoring.benchmark.stand_ins import LoadedAlready, RecordedNetwork, TimedNetwork
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import BatchLoader, LoadedBatch, Loader
from export.scoring.decoding.loading import SlotInputs
from export.scoring.engine.assembly import assemble
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_settings import describe_job
from export.scoring.engine.parts import heatmap_folder, open_shard
from export.scoring.engine.pipeline import run_ahead
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer, wanted_outputs
from export.scoring.progress.metrics import job_metrics
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.image_file import read_image_file
from export.scoring.sources.input import ScoringInput, Source

NETWORK_SECONDS = 0.5
_FEWEST_CALLS = 3
ROWS = 8192


@dataclasses.dataclass(frozen=True)
class SampleJob:
    """A job over a sample of images, repeated to any length.

    Attributes:
        config: Its flags; the output is a file that may be written.
        devices: The network.
        inputs: The sample.
        has_boxes: Whether rows may carry a box.
    """

    config: ScoringConfig
    devices: NetworkDevices
    inputs: Sequence[ScoringInput]
    has_boxes: bool = False

    @property
    def session(self) -> NetworkSession:
        """The network, for what all devices have in common."""
        return self.devices.first

    def repeated(self, count: int) -> Iterator[ScoringInput]:
        """The sample, again and again, up to `count` images."""
        return itertools.islice(itertools.cycle(self.inputs), count)

    def whole_batches(self, images: float) -> int:
        """The number of images of as many batches as hold so many: a part of one costs as much."""
        size = self.config.batch_size
        return max(-(-int(images) // size), 1) * size

    def run(self, devices: NetworkDevices, loader: Loader, count: int) -> None:
        """Scores `count` images, from the loader over the parts to the output."""
        config = self.config
        source = Source(count, "", lambda: self.repeated(count), self.has_boxes)
        job = describe_job(config, self.session, source)
        labels = self.session.description.label_names
        rule = job.thresholds, job.label_groups
        heatmaps = HeatmapRows(config, labels, heatmap_folder(config.output), *rule)
        scorer = ShardScorer(config, devices, job, heatmaps)
        with (
            open_shard(config.output, Shard()) as folder,
            job_metrics(config, count, Counter(), {}) as metrics,
        ):
            folder.begin(job)
            scorer.write_parts(folder, range(count), source.read(), loader, [], metrics)
            assemble(config.output, job, folder.all_parts())


def measure_reading(job: SampleJob) -> float:
    """Files of the sample read a second, each once, by as many threads as there are decoders.

    Linux is asked to take local ones out of its cache first: a job finds few of its files there. It
    does so for files that lie on a disk, and for some file systems of other machines.
    """
    limits = job.config.read_limits
    for value in job.inputs:
        _forget(value)
    with ThreadPoolExecutor(job.config.decoder_count) as pool:
        start = _now()
        for _ in pool.map(lambda v: read_image_file(v.path, v.member, limits), job.inputs):
            pass
        return len(job.inputs) / (_now() - start)


def measure_loading(job: SampleJob, loader: BatchLoader, images: int) -> LoadingFigures:
    """Loads images and throws them away; their files are in the system's cache."""
    count, children = job.whole_batches(images), loader.decoders.process_numbers
    with LockWait() as lock:
        before, main_before = thread_times(children), thread_times()
        start, main_start = _now(), time.process_time()
        for _ in loader.load(batches(job.repeated(count), job.config.batch_size)):
            pass
        seconds, main_used = _now() - start, time.process_time() - main_start
        decoders = time_between(before, thread_times(children))
        main = time_between(main_before, thread_times())
    main_used -= lock.processor_seconds
    if not children:
        blocked = _blocked_share(main, seconds * job.config.decoder_count)
        speed = count / seconds
        return LoadingFigures(speed, main_used / count, 0.0, blocked, 0.0, lock.share, False)
    main_busy = main_used + max((main.ready or 0.0) - lock.ready_seconds, 0.0)
    return LoadingFigures(
        count / seconds,
        decoders.used / count,
        main_used / count,
        _blocked_share(decoders, seconds * job.config.decoder_count),
        main_busy / seconds,
        lock.share,
    )


def _blocked_share(decoders: ThreadTime, seconds: float) -> float | None:
    if decoders.ready is None:
        return None
    return min(max(1.0 - (decoders.used + decoders.ready) / seconds, 0.0), 1.0)


def measure_network(job: SampleJob, batch: LoadedBatch) -> NetworkFigures:
    """Computes one batch again and again, the next one uploaded meanwhile."""
    network, size = TimedNetwork(job.devices), job.config.batch_size
    end, first = _now() + NETWORK_SECONDS, len(job.devices.sessions)

    def enough() -> Iterator[SlotInputs]:
        # The first call of a device, which is left out, makes the memory that later ones use.
        while len(network.calls) < first + _FEWEST_CALLS or _now() < end:
            yield list(enumerate(job.repeated(size)))

    outputs = wanted_outputs(job.config, job.session.has_stability)
    for _ in run_ahead(network.devices, LoadedAlready(batch, first), enough(), outputs):
        pass
    calls = sorted(network.calls)[first:]
    seconds = max(end for _, end in calls) - calls[0][0]
    return NetworkFigures(size * len(calls) / seconds, [end - start for start, end in calls])


def measure_rows(job: SampleJob, batch: LoadedBatch) -> RowFigures:
    """Builds and writes rows, from the network's outputs to the output of a job."""
    outputs = job.session.run(batch.images, wanted_outputs(job.config, job.session.has_stability))
    count = job.whole_batches(ROWS)
    start, main_start = _now(), time.process_time()
    # Of a session, it has what `run_ahead` calls.
    recorded = cast(NetworkSession, RecordedNetwork(outputs))
    job.run(NetworkDevices({"recorded": recorded}), LoadedAlready(batch), count)
    seconds, main = _now() - start, time.process_time() - main_start
    return RowFigures(count / seconds, main / count)


def measure_job(job: SampleJob, loader: BatchLoader, images: int) -> JobFigures:
    """Scores images from their files to rows."""
    network, count = TimedNetwork(job.devices), job.whole_batches(images)
    children = loader.decoders.process_numbers
    with LockWait() as lock:
        before, start, main_start = thread_times(children), _now(), time.process_time()
        job.run(network.devices, loader, count)
        seconds, processor = _now() - start, time.process_time() - main_start
    processor -= lock.processor_seconds
    if children:
        processor += time_between(before, thread_times(children)).used
    return JobFigures(count / seconds, processor / count, network.idle_share, lock.share)


def batches(inputs: Iterable[ScoringInput], size: int) -> Iterator[SlotInputs]:
    """Slot and input of each image of consecutive batches; the last may be shorter."""
    inputs = iter(inputs)
    while batch := list(enumerate(itertools.islice(inputs, size))):
        yield batch


def _forget(value: ScoringInput) -> None:
    path, (first, size) = local_path(value.path), value.member or (0, 0)  # No size: to the end.
    if is_url(path) or not hasattr(os, "posix_fadvise"):
        return
    with contextlib.suppress(OSError):  # Reading it will tell.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, first, size, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _now() -> float:
    return time.perf_counter()
