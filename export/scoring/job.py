"""Batch scoring: every input gets exactly one row, in input order, whatever happens to it.

Rows are written in parts, so a job that was killed goes on where it stopped, and assembled at the
end.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from export.bundle.score_histograms import ScoreHistograms
from export.files.atomic_file import WriteError
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import open_loader
from export.scoring.drift.job_drift import open_reference, report_drift
from export.scoring.engine.assembly import assemble, remove_state, report_finished
from export.scoring.engine.finished_output import find_finished
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_record import Job
from export.scoring.engine.job_settings import describe_job
from export.scoring.engine.parts import (
    Part,
    ShardFolder,
    count_rows,
    heatmap_folder,
    open_shard,
    start_or_continue,
)
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.output.writers import check_output
from export.scoring.progress.metrics import JobMetrics, job_metrics
from export.scoring.report import ScoringReport
from export.scoring.runtime.network_devices import DeviceError, NetworkDevices
from export.scoring.runtime.processor import compare_with_verdict
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import Source, select
from export.scoring.sources.open_source import open_source
from export.scoring.uncertain_rows import check_sendable

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class OpenJob:
    """A job whose model and images are opened.

    Attributes:
        config: Its flags, with the batch size settled.
        devices: The network.
        source: Its rows.
        job: What its parts must have in common.
        heatmaps: Makes what it asks for of heatmaps.
        reference: Scores from which a drift is measured, or None.
    """

    config: ScoringConfig
    devices: NetworkDevices
    source: Source
    job: Job
    heatmaps: HeatmapRows
    reference: ScoreHistograms | None

    @classmethod
    def open(cls, config: ScoringConfig, source: Source | None = None) -> "OpenJob":
        """Opens the model and counts the images.

        Args:
            config: Its flags.
            source: Its rows; default: all that the flags name.

        Raises:
            ValueError: when the model, the images or the output cannot be used at all.
        """
        check_output(config.output)
        devices = NetworkDevices.open(
            config.model, config.providers, config.devices, config.gpu_memory_mb, config.threads
        )
        session = devices.first
        warning = compare_with_verdict(session.description, session.provider, config.model)
        if warning:
            _LOGGER.warning(warning)
        if source is None:
            source = open_source(config.images, config.image_root, config.read_limits)
        reference = open_reference(config, session.description, session.sha256)
        # A short list needs no full batch of black images.
        config = dataclasses.replace(config, batch_size=min(config.batch_size, source.count))
        job = describe_job(config, session, source)
        if config.send_uncertain:
            check_sendable(job.columns, config.uncertain_by, source.has_members)
        heatmaps = HeatmapRows(
            config,
            session.description.label_names,
            heatmap_folder(config.output),
            job.thresholds,
            job.label_groups,
        )
        return cls(config, devices, source, job, heatmaps, reference)

    @property
    def session(self) -> NetworkSession:
        """The network, for what all devices have in common."""
        return self.devices.first

    def metrics(self, shard: Shard, rows: int, finished: Mapping[str, int]) -> JobMetrics:
        """Tells how far the job is, to its very end; a context.

        Args:
            shard: What is scored of it.
            rows: Number of rows of that.
            finished: Number of those that are there already, by status.
        """
        facts = {
            "output": self.config.output,
            "shard": str(shard),
            "model_sha256": self.session.sha256,
            "provider": self.session.provider,
        }
        return job_metrics(self.config, rows, finished, facts, self.devices.images)

    def write_parts(
        self,
        folder: ShardFolder,
        rows: Sequence[int],
        finished: Sequence[Part],
        metrics: JobMetrics,
    ) -> None:
        """Scores rows into the parts of a folder.

        Args:
            folder: The folder.
            rows: Ascending numbers of all rows that it is to have.
            finished: Its parts that are there already.
            metrics: Told of each batch.
        """
        done = sum(part.rows for part in finished)
        inputs = select(self.source.read(), rows[done:])
        preprocessing = self.session.description.preprocessing
        failed_before = self.source.failed_before
        scorer = ShardScorer(self.config, self.devices, self.job, self.heatmaps, failed_before)
        rest, devices = len(rows) - done, len(self.devices.sessions)
        with open_loader(self.config, preprocessing, rest, devices) as loader:
            scorer.write_parts(folder, rows, inputs, loader, finished, metrics)


def score(config: ScoringConfig, source: Source | None = None) -> ScoringReport:
    """Scores all images of a job, or of one shard of it, and writes one row for each.

    The same call after the process died goes on behind its last finished part; after the job
    came through it does nothing.

    Args:
        config: The job.
        source: Its rows; default: all that the config names.

    Raises:
        ValueError: when the model, the images or the output cannot be used at all, when the output
            has the state of another job or would replace what is no output of this one, or when
            most images fail. A single bad image is no exception but a row with its status.
        WriteError: when a file cannot be written: the disk is full.
    """
    shard = Shard.parse(config.shard)
    opened = OpenJob.open(config, source)
    if manifest := find_finished(config.output, opened.job, config.overwrite):
        # Of a process that was killed at its very end.
        remove_state(config.output, lambda old: not opened.job.differences(old))
        counts = manifest.row_counts()
        with opened.metrics(shard, counts.total(), counts):
            pass  # Or a dashboard would show a job that does not end.
        report = report_finished(config.output, manifest, opened.session.placement)
        report = dataclasses.replace(report, drift=report_drift(config, opened.reference))
    else:
        with saying_what_is_kept():
            report = _score_shard(opened, shard)
    return dataclasses.replace(report, left_out=opened.source.left_out)


def _score_shard(opened: OpenJob, shard: Shard) -> ScoringReport:
    config, job = opened.config, opened.job
    warm_up_seconds = opened.devices.warm_up(config.batch_size)
    start, drift = time.monotonic(), None
    with open_shard(config.output, shard) as folder:
        finished = start_or_continue(config.output, folder, job)
        rows = shard.rows(job.rows, config.batch_size)
        with opened.metrics(shard, len(rows), count_rows(finished)) as metrics:
            opened.write_parts(folder, rows, finished, metrics)
            parts = folder.all_parts()
            output = folder.path
            if shard.count == 1:
                assemble(config.output, job, parts)
                output = config.output
                drift = metrics.drift = report_drift(config, opened.reference)
    return ScoringReport(
        count_rows(parts),
        time.monotonic() - start,
        output,
        opened.session.placement,
        resumed=sum(part.rows for part in finished),
        warm_up_seconds=warm_up_seconds,
        images_by_device=opened.devices.images,
        drift=drift,
    )


@contextlib.contextmanager
def saying_what_is_kept() -> Iterator[None]:
    """Adds to the error of a full disk, or of a device that is lost, that the job goes on."""
    kept = "Finished parts are kept, and the same command goes on behind them."
    try:
        yield
    except WriteError as error:
        raise WriteError(error.errno, f"{error} {kept}", error.filename) from error
    except DeviceError as error:
        raise DeviceError(f"{error} {kept}") from error
