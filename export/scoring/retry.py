"""Scores again the rows of a finished output that have no scores."""

import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Sequence

from export.bundle.model_file import hash_file
from export.scoring.config import ScoringConfig
from export.scoring.drift.job_drift import report_drift
from export.scoring.engine.assembly import assemble_retried, remove_state
from export.scoring.engine.finished_output import Manifest, read_manifest
from export.scoring.engine.job_record import RETRY_SETTING, Job
from export.scoring.engine.parts import (
    count_rows,
    find_shards,
    join_scores,
    open_shard,
    start_or_continue,
)
from export.scoring.engine.shard import Shard
from export.scoring.job import OpenJob, saying_what_is_kept
from export.scoring.output.finished_rows import read_statuses
from export.scoring.report import ScoringReport

_OUTPUT_SETTING = "output_sha256"


def retry_errors(config: ScoringConfig) -> ScoringReport:
    """Replaces the rows of a finished output whose status is among `config.retry_errors`.

    Every new row has the bytes that it would have had in the job itself, and the other rows are
    copied. The same call after the process died goes on behind its last finished part; the output
    stays as it was until all rows are there.

    Raises:
        ValueError: when the output is not finished, not of this job, or was changed since.
        WriteError: when a file cannot be written: the disk is full.
    """
    # What fails again may be all that there is to do.
    opened = OpenJob.open(dataclasses.replace(config, max_error_share=1.0))
    manifest, sha256 = _check_output(config.output, opened.job)
    # Of a process that was killed after the output was replaced.
    remove_state(config.output, lambda old: old.settings.get(_OUTPUT_SETTING, sha256) != sha256)
    read = read_statuses(config.output, opened.job.settings["format"])
    statuses = list(map(sys.intern, read))  # Some words for millions of rows.
    rows = [row for row, status in enumerate(statuses) if _is_wanted(status, config.retry_errors)]
    placement, rest = opened.session.placement, Counter(statuses)
    if not rows:
        reason = f"no row has a status of --retry_errors={config.retry_errors}"
        drift = report_drift(config, opened.reference)
        counts = {"ok": 0, **rest}
        return ScoringReport(counts, 0.0, config.output, placement, nothing=reason, drift=drift)
    wanted = sorted({statuses[row] for row in rows})
    settings = {**opened.job.settings, RETRY_SETTING: wanted, _OUTPUT_SETTING: sha256}
    job = dataclasses.replace(opened.job, settings=settings, rows=len(rows))
    warm_up_seconds = opened.devices.warm_up(opened.config.batch_size)
    start = time.monotonic()
    with open_shard(config.output, Shard()) as folder, saying_what_is_kept():
        finished = start_or_continue(config.output, folder, job)
        with opened.metrics(folder.shard, len(rows), count_rows(finished)) as metrics:
            opened.write_parts(folder, rows, finished, metrics)
            parts = folder.all_parts()
            counts = _replaced(rest, wanted, count_rows(parts))
            # The rows that are replaced had no scores.
            names, pieces = job.columns.label_names, [part.scores for part in parts]
            scores = join_scores(names, [manifest.scores, *pieces])
            assemble_retried(config.output, opened.job, rows, parts, counts, scores)
            drift = metrics.drift = report_drift(config, opened.reference)
    return ScoringReport(
        counts,
        time.monotonic() - start,
        config.output,
        placement,
        resumed=sum(part.rows for part in finished),
        retried=len(rows),
        warm_up_seconds=warm_up_seconds,
        images_by_device=opened.devices.images,
        drift=drift,
    )


def _replaced(counts: Counter[str], wanted: Sequence[str], new: Counter[str]) -> Counter[str]:
    """Number of rows by status, `ok` first, when those with a status of `wanted` became `new`."""
    names = dict.fromkeys(["ok", *counts, *new])
    total = {name: new[name] + (0 if name in wanted else counts[name]) for name in names}
    return Counter({name: n for name, n in total.items() if n or name == "ok"})


def _is_wanted(status: str, retried: str) -> bool:
    names = [name.strip() for name in retried.split(",")]
    return status != "ok" and (status in names or "all" in names)


def _check_output(output: str, job: Job) -> tuple[Manifest, str]:
    """Manifest and hash of the output, after a check that it is the finished one of `job`."""
    manifest = read_manifest(output)
    if manifest is None:
        raise ValueError(
            f"{output!r} has no manifest of a finished job, whose rows --retry_errors could score"
            " again. Finish the job first, without --retry_errors."
        )
    if what := job.differences(manifest.job):
        raise ValueError(
            f"{output!r} holds the scores of another job: {'; '.join(what)}. --retry_errors needs"
            " all other flags as they were."
        )
    sha256 = hash_file(output)
    # A process that died while it replaced the output left the manifest of the new one.
    known = {manifest.sha256, *(s.job.settings.get(_OUTPUT_SETTING) for s in find_shards(output))}
    if sha256 not in known:
        raise ValueError(
            f"{output!r} is not as this job wrote it. Score everything again with --overwrite."
        )
    return manifest, sha256
