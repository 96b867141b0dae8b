"""What stands where a job is to write: its own finished output, or something to leave alone."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from export.bundle.model_file import hash_file
from export.bundle.score_histograms import ScoreHistograms
from export.files.atomic_file import write_json
from export.scoring.engine.job_record import Job, parse_job


def manifest_file(output: str) -> str:
    """The file beside an output that says what its scores come from."""
    return f"{output}.manifest.json"


def output_heatmaps(output: str) -> str:
    """The folder of heatmap files beside a finished output."""
    return f"{output}.heatmaps"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an output comes from.

    Attributes:
        job: Its settings and columns.
        counts: Number of rows by status.
        sha256: Hash of the output.
        scores: How its probabilities are spread; None of an output of an earlier version.
    """

    job: Job
    counts: Mapping[str, int]
    sha256: str
    scores: ScoreHistograms | None = None

    def write(self, output: str) -> None:
        """Puts it beside the output."""
        counts = dict(sorted(self.counts.items()))
        scores = {"scores": self.scores.to_json()} if self.scores else {}
        values = {"counts": counts, "sha256": self.sha256, **scores, **self.job.to_json()}
        write_json(manifest_file(output), values)

    def fits(self, output: str) -> bool:
        """Whether the output is there as it was written."""
        return os.path.isfile(output) and hash_file(output) == self.sha256

    def row_counts(self) -> Counter[str]:
        """Number of rows by status, `ok` first."""
        return Counter({"ok": 0, **self.counts})


def read_manifest(output: str) -> Manifest | None:
    """The manifest of an output; None when there is none, or none of this version."""
    path = manifest_file(output)
    try:
        with open(path, "rb") as file:
            data = file.read()
        values: dict[str, Any] = json.loads(data)
        counts, sha256 = dict(values["counts"]), values["sha256"]
        if not isinstance(sha256, str) or any(type(count) is not int for count in counts.values()):
            return None
        job, scores = parse_job(data, path), values.get("scores")
        names = job.columns.label_names
        read = ScoreHistograms.from_json(scores, names) if scores else None
        return Manifest(job, counts, sha256, read)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def find_finished(output: str, job: Job, overwrite: bool) -> Manifest | None:
    """The manifest of an output that `job` has finished; None when the job is to write it.

    Args:
        output: The file to write.
        job: The job that is to write it.
        overwrite: Whether it is to be written anew, whatever is there.

    Raises:
        ValueError: when something else would be replaced.
    """
    if overwrite:
        return None
    manifest = read_manifest(output)
    what = job.differences(manifest.job) if manifest else []
    if manifest and not what and manifest.fits(output):
        return manifest
    if what:
        problem = f"holds the scores of another job: {'; '.join(what)}"
    elif manifest:
        problem = "is not as this job wrote it"
    else:
        problem = "is of no job that its manifest would name"
    _refuse(output, problem)
    if not manifest or what:  # A job that died at its end has put its own there.
        _refuse(output_heatmaps(output), "is not of this job")
    return None


def _refuse(path: str, problem: str) -> None:
    if os.path.lexists(path):
        raise ValueError(
            f"{path!r} exists and {problem}. Give another --output, or --overwrite to replace it."
        )
