"""From the parts of all shards to the one output, whose bytes do not depend on them."""

import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence

from export.files.atomic_file import remove_partial_files, write_json
from export.scoring.engine.parts import (
    Job,
    Part,
    count_rows,
    find_shards,
    heatmap_folder,
    job_folder,
    open_shard,
)
from export.scoring.output.writers import check_output, open_writer
from export.scoring.report import ScoringReport


def manifest_file(output: str) -> str:
    """The file beside an output that says what its scores come from."""
    return f"{output}.manifest.json"


def merge(output: str) -> ScoringReport:
    """Joins the finished shards of an output in input order and removes their parts.

    The settings come from the shards; neither the model nor the images are needed.

    Raises:
        ValueError: when shards are missing, unfinished, at work or of different jobs.
    """
    start = time.monotonic()
    check_output(output)
    shards = find_shards(output)
    if not shards:
        raise ValueError(
            f"{job_folder(output)!r} holds no shards. Run score.py --shard=1/n to n/n with this"
            " --output first."
        )
    counts = {folder.shard.count for folder in shards}
    present = {folder.shard.number for folder in shards}
    missing = sorted(set(range(1, max(counts) + 1)) - present)
    if len(counts) > 1 or missing:
        found = ", ".join(str(folder.shard) for folder in shards)
        raise ValueError(f"Expected all shards of one job, found {found}; missing: {missing}.")
    with contextlib.ExitStack() as locks:
        folders = [locks.enter_context(open_shard(output, folder.shard)) for folder in shards]
        job = folders[0].job
        parts = []
        for folder in folders:
            if what := job.differences(folder.job):
                raise ValueError(
                    f"Shards {folders[0].shard} and {folder.shard} are of different jobs:"
                    f" {'; '.join(what)}."
                )
            parts += folder.all_parts()
        counts = assemble(output, job, parts)
    seconds = time.monotonic() - start
    return ScoringReport(counts, seconds, output, job.settings["provider"])


def assemble(output: str, job: Job, parts: Sequence[Part]) -> Counter:
    """Writes the output and its manifest from all parts of a job, and removes the parts.

    The caller holds the locks of all shards.

    Returns:
        Number of rows by status.
    """
    counts = count_rows(parts)
    remove_partial_files(output)  # Of a process that was killed here; all locks are ours.
    properties = {key: job.settings[key] for key in ("model_sha256", "label_names_sha256")}
    with open_writer(output, job.columns, properties) as writer:
        for part in parts:
            writer.append_part(part.path)
    write_json(manifest_file(output), {"counts": dict(sorted(counts.items())), **job.to_json()})
    _move_heatmaps(output)
    _remove_job_folder(output)
    return counts


def _remove_job_folder(output: str) -> None:
    # Renamed first: a folder that is half removed would look like the state of a job.
    removed = f"{job_folder(output)}.removed"
    if os.path.exists(removed):
        shutil.rmtree(removed)
    os.rename(job_folder(output), removed)
    shutil.rmtree(removed)


def _move_heatmaps(output: str) -> None:
    """Puts the folder of heatmap files beside the output; an older one goes with the parts."""
    folder, target = heatmap_folder(output), f"{output}.heatmaps"
    if os.path.isdir(folder):
        if os.path.exists(target):
            os.rename(target, tempfile.mkdtemp(dir=job_folder(output)))
        os.rename(folder, target)
