"""From the parts of all shards to the one output, whose bytes do not depend on them."""

import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from export.bundle.model_file import hash_file
from export.bundle.score_histograms import ScoreHistograms
from export.files.atomic_file import remove_partial_files, replace_file
from export.scoring.engine.finished_output import (
    Manifest,
    find_finished,
    output_heatmaps,
    read_manifest,
)
from export.scoring.engine.job_record import RETRY_SETTING, Job
from export.scoring.engine.parts import (
    Part,
    ShardFolder,
    count_rows,
    find_shards,
    heatmap_folder,
    job_folder,
    join_scores,
    open_shard,
)
from export.scoring.output.writers import check_output, open_rows
from export.scoring.report import ScoringReport


def merge(output: str, overwrite: bool = False) -> ScoringReport:
    """Joins the finished shards of an output in input order and removes their parts.

    The settings come from the shards; neither the model nor the images are needed.

    Args:
        output: The file to write.
        overwrite: Whether an output of another job is replaced.

    Raises:
        ValueError: when shards are missing, unfinished, at work or of different jobs, or when
            the output of another job is there.
    """
    start = time.monotonic()
    check_output(output)
    shards = find_shards(output)
    if not shards and (manifest := read_manifest(output)) and manifest.fits(output):
        return report_finished(output, manifest, manifest.job.settings["provider"])
    _check_numbers(output, shards)
    with contextlib.ExitStack() as locks:
        folders = [locks.enter_context(open_shard(output, folder.shard)) for folder in shards]
        job = folders[0].job
        parts = []
        for folder in folders:
            if what := job.differences(folder.job, is_of_one_host=False):
                raise ValueError(
                    f"Shards {folders[0].shard} and {folder.shard} are of different jobs:"
                    f" {'; '.join(what)}."
                )
            parts += folder.all_parts()
        if manifest := find_finished(output, job, overwrite):
            _remove_job_folder(output)
            return report_finished(output, manifest, job.settings["provider"])
        counts = assemble(output, job, parts)
    seconds = time.monotonic() - start
    return ScoringReport(counts, seconds, output, job.settings["provider"])


def _check_numbers(output: str, shards: Sequence[ShardFolder]) -> None:
    if not shards:
        raise ValueError(
            f"{job_folder(output)!r} holds no shards. Run score.py --shard=1/n to n/n with this"
            " --output first."
        )
    if any(RETRY_SETTING in folder.job.settings for folder in shards):
        raise ValueError(
            f"{job_folder(output)!r} holds rows of --retry_errors and no shards. Repeat that"
            " command to finish it."
        )
    counts = {folder.shard.count for folder in shards}
    present = {folder.shard.number for folder in shards}
    missing = sorted(set(range(1, max(counts) + 1)) - present)
    if len(counts) > 1 or missing:
        found = ", ".join(str(folder.shard) for folder in shards)
        raise ValueError(f"Expected all shards of one job, found {found}; missing: {missing}.")


def report_finished(output: str, manifest: Manifest, provider: str) -> ScoringReport:
    """What a job did that found its output finished: nothing."""
    counts = manifest.row_counts()
    return ScoringReport(counts, 0.0, output, provider, resumed=counts.total())


def remove_state(output: str, is_old: Callable[[Job], bool]) -> None:
    """Removes the parts of an output if all are of jobs of which `is_old` says so.

    What a process left that was killed while it removed them goes, too.

    Raises:
        ValueError: when a process works on them.
    """
    with contextlib.ExitStack() as locks:
        shards = find_shards(output)
        folders = [locks.enter_context(open_shard(output, folder.shard)) for folder in shards]
        if folders and all(is_old(folder.job) for folder in folders):
            _remove_job_folder(output)
        elif os.path.exists(_removed_folder(output)):
            shutil.rmtree(_removed_folder(output))


def assemble(output: str, job: Job, parts: Sequence[Part]) -> Counter[str]:
    """Writes the output and its manifest from all parts of a job, and removes the parts.

    The caller holds the locks of all shards.

    Returns:
        Number of rows by status.
    """
    counts = count_rows(parts)
    scores = join_scores(job.columns.label_names, (part.scores for part in parts))
    with _new_output(output, job, counts, scores, _move_heatmaps) as writer:
        for part in parts:
            writer.append_part(part.path)
    return counts


def assemble_retried(
    output: str,
    job: Job,
    rows: Sequence[int],
    parts: Sequence[Part],
    counts: Counter[str],
    scores: ScoreHistograms | None,
) -> None:
    """Replaces some rows of a finished output by those of the parts, and removes the parts.

    Args:
        output: The output.
        job: The job that wrote it.
        rows: Ascending numbers of the rows.
        parts: As many rows in all.
        counts: Number of rows of the new output by status.
        scores: How its probabilities are spread, where that is known.
    """
    with _new_output(output, job, counts, scores, _add_heatmaps) as writer:
        writer.append_replaced(output, rows, [part.path for part in parts])


@contextlib.contextmanager
def _new_output(
    output: str,
    job: Job,
    counts: Counter[str],
    scores: ScoreHistograms | None,
    take_heatmaps: Callable[[str], None],
) -> Iterator[Any]:
    remove_partial_files(output)  # Of a process that was killed here; all locks are ours.
    properties = {key: job.settings[key] for key in ("model_sha256", "label_names_sha256")}
    with replace_file(output) as file:
        with open_rows(file, job.settings["format"], job.columns, properties) as writer:
            yield writer
        file.flush()
        # Before the output: so whoever finds an output finds its own manifest and heatmaps.
        Manifest(job, counts, hash_file(file.name), scores).write(output)
        take_heatmaps(output)
    _remove_job_folder(output)


def _removed_folder(output: str) -> str:
    return f"{job_folder(output)}.removed"


def _remove_job_folder(output: str) -> None:
    # Renamed first: a folder that is half removed would look like the state of a job.
    removed = _removed_folder(output)
    if os.path.exists(removed):
        shutil.rmtree(removed)
    os.rename(job_folder(output), removed)
    shutil.rmtree(removed)


def _move_heatmaps(output: str) -> None:
    """Puts the folder of heatmap files beside the output; an older one goes with the parts."""
    folder, target = heatmap_folder(output), output_heatmaps(output)
    if os.path.isdir(folder):
        if os.path.exists(target):
            os.rename(target, tempfile.mkdtemp(dir=job_folder(output)))
        os.rename(folder, target)


def _add_heatmaps(output: str) -> None:
    """Puts heatmap files among those that are there; files of one row have one name."""
    source, target = heatmap_folder(output), output_heatmaps(output)
    for folder, _, names in os.walk(source):
        beside = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(beside, exist_ok=True)
        for name in names:
            os.replace(os.path.join(folder, name), os.path.join(beside, name))
