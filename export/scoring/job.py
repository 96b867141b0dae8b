"""Batch scoring: every input gets exactly one row, in input order, whatever happens to it.

Rows are written in parts, so a job that was killed goes on where it stopped, and assembled at the
end.
"""

import dataclasses
import itertools
import time
from collections.abc import Sequence

from export.files.atomic_file import WriteError
from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import assemble, remove_finished_state, report_finished
from export.scoring.engine.finished_output import find_finished
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_settings import describe_job
from export.scoring.engine.parts import (
    Job,
    Part,
    count_rows,
    heatmap_folder,
    open_shard,
    start_or_continue,
)
from export.scoring.engine.pipeline import load_ahead
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.output.writers import check_output
from export.scoring.progress.metrics import JobMetrics
from export.scoring.report import ScoringReport
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import Source
from export.scoring.sources.open_source import open_source


def score(config: ScoringConfig) -> ScoringReport:
    """Scores all images of a job, or of one shard of it, and writes one row for each.

    The same call after the process died goes on behind its last finished part; after the job
    came through it does nothing.

    Raises:
        ValueError: when the model, the images or the output cannot be used at all, when the output
            has the state of another job or would replace what is no output of this one, or when
            most images fail. A single bad image is no exception but a row with its status.
        WriteError: when a file cannot be written: the disk is full.
    """
    check_output(config.output)
    shard = Shard.parse(config.shard)
    session = NetworkSession(config.model, config.providers, config.gpu_memory_mb, config.threads)
    source = open_source(config.images, config.image_root, config.read_limits)
    # A short list needs no full batch of black images.
    config = dataclasses.replace(config, batch_size=min(config.batch_size, source.count))
    job = describe_job(config, session, source)
    if manifest := find_finished(config.output, job, config.overwrite):
        remove_finished_state(config.output, job)
        report = report_finished(config.output, manifest, session.placement)
    else:
        try:
            report = _score_shard(config, shard, session, source, job)
        except WriteError as error:
            kept = "Finished parts are kept, and the same command goes on behind them."
            raise WriteError(error.errno, f"{error} {kept}", error.filename) from error
    return dataclasses.replace(report, left_out=source.left_out)


def _score_shard(
    config: ScoringConfig, shard: Shard, session: NetworkSession, source: Source, job: Job
) -> ScoringReport:
    heatmaps = HeatmapRows(
        config, session.description.label_names, heatmap_folder(config.output), job.thresholds
    )
    warm_up_seconds = session.warm_up(config.batch_size)
    start = time.monotonic()
    with open_shard(config.output, shard) as folder:
        finished = start_or_continue(config.output, folder, job)
        resumed = sum(part.rows for part in finished)
        scorer = ShardScorer(config, session, job.thresholds, heatmaps)
        rows = shard.rows(source.count, config.batch_size)
        inputs = itertools.islice(source.read(), rows.start + resumed, rows.stop)
        with _job_metrics(config, session, shard, len(rows), finished) as metrics:
            with load_ahead(config, session.description.preprocessing, inputs) as loaded:
                scorer.write_parts(folder, loaded, finished, metrics)
            parts = folder.all_parts()
            output = folder.path
            if shard.count == 1:
                assemble(config.output, job, parts)
                output = config.output
    return ScoringReport(
        count_rows(parts),
        time.monotonic() - start,
        output,
        session.placement,
        resumed=resumed,
        warm_up_seconds=warm_up_seconds,
    )


def _job_metrics(
    config: ScoringConfig,
    session: NetworkSession,
    shard: Shard,
    rows: int,
    finished: Sequence[Part],
) -> JobMetrics:
    facts = {
        "output": config.output,
        "shard": str(shard),
        "model_sha256": session.sha256,
        "provider": session.provider,
    }
    counts = count_rows(finished)
    return JobMetrics(config.metrics_file, config.metrics_port, rows, counts, facts)
