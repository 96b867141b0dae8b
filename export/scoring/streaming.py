"""Rows to the standard output, each batch as soon as it is scored; nothing is kept of the job."""

import contextlib
import os
import sys
import time
from collections import Counter
from typing import BinaryIO

import numpy as np

from export.bundle.score_histograms import BINS, ScoreHistograms
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import open_loader
from export.scoring.drift.drift import measure_drift
from export.scoring.engine.error_share import ErrorShare
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.job import OpenJob
from export.scoring.output.writers import STREAM_SUFFIX, open_rows
from export.scoring.progress.line import Progress
from export.scoring.progress.metrics import JobMetrics
from export.scoring.report import ScoringReport


def stream(config: ScoringConfig, file: BinaryIO | None = None) -> ScoringReport:
    """Scores all images of a job into JSON Lines, with the bytes that a file would have.

    A reader that goes away (`| head`) ends the job: the report then counts what it got.

    Args:
        config: The job.
        file: Where the rows go; default: the standard output.

    Raises:
        ValueError: when the model, the images or the standard output cannot be used at all, or most
            images fail.
    """
    if file is None and sys.__stdout__ is None:  # Closed before the start.
        raise ValueError("--output=- needs a standard output, and it is closed: name a file.")
    file = sys.stdout.buffer if file is None else file
    opened = OpenJob.open(config)
    warm_up_seconds = opened.devices.warm_up(opened.config.batch_size)
    start, counts, drift = time.monotonic(), Counter({"ok": 0}), None
    names = opened.job.columns.label_names
    scores = np.zeros((len(names), BINS), np.int64)
    try:
        with opened.metrics(Shard(), opened.job.rows, {}) as metrics:
            _write_rows(opened, file, counts, scores, metrics)
            if opened.reference is not None:
                current = ScoreHistograms.from_array(names, scores)
                drift = metrics.drift = measure_drift(opened.reference, current, config.max_drift)
    except BrokenPipeError:
        _forget_output(file)
    return ScoringReport(
        counts,
        time.monotonic() - start,
        "standard output",
        opened.session.placement,
        left_out=opened.source.left_out,
        warm_up_seconds=warm_up_seconds,
        images_by_device=opened.devices.images,
        drift=drift,
    )


def _write_rows(
    opened: OpenJob,
    file: BinaryIO,
    counts: Counter[str],
    scores: np.ndarray,
    metrics: JobMetrics,
) -> None:
    config, rows = opened.config, range(opened.job.rows)
    # Within a job that is one part, as long as it is: nothing of it can be done again.
    error_share = ErrorShare(config.max_error_share, "--max_error_share=1 goes on whatever fails.")
    preprocessing = opened.session.description.preprocessing
    scorer = ShardScorer(config, opened.devices, opened.job, opened.heatmaps)
    with (
        open_loader(config, preprocessing, len(rows), len(opened.devices.sessions)) as loader,
        contextlib.closing(scorer.blocks(rows, opened.source.read(), loader)) as blocks,
        open_rows(file, STREAM_SUFFIX, opened.job.columns) as writer,
        Progress(len(rows), images_by_device=opened.devices.images) as progress,
    ):
        for block in blocks:
            writer.write(block)
            file.flush()
            counts.update(block.statuses)
            scores += block.score_counts()
            metrics.update(Counter(block.statuses))
            progress.update(len(block.inputs), sum(word != "ok" for word in block.statuses))
            error_share.update(block.statuses, block.errors)


def _forget_output(file: BinaryIO) -> None:
    """Or Python would complain of the closed pipe when it ends."""
    if file is sys.stdout.buffer:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), file.fileno())
