"""The finished parts of a scoring job, on disk beside its output.

    scores.parquet.parts/shard-1-of-1/job.json             the settings that all parts share
                                      part-000000.parquet  whole batches: rows, or seconds, enough
                                      part-000000.json     its hash and counts, written after it
                                      lock

A part counts when its JSON exists and its hash fits. So a job that was killed at any moment goes
on behind its last whole part.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from export.bundle.model_file import hash_file
from export.bundle.score_histograms import BINS, ScoreHistograms
from export.files.atomic_file import write_json
from export.files.folder_lock import lock_folder
from export.scoring.engine.job_record import Job, parse_job
from export.scoring.engine.shard import Shard
from export.scoring.output.writers import open_writer

JOB_FILE = "job.json"
_PART_FILE = re.compile(r"part-(\d{6,})\..*")  # See `ShardFolder._file`.
_SHARD_FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")  # See `Shard.folder_name`.


@dataclasses.dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        path: Its file.
        counts: Its number of rows by status.
        sha256: Its hash.
        scores: How its probabilities are spread; None for a part of an earlier version.
    """

    path: str
    counts: Mapping[str, int]
    sha256: str
    scores: ScoreHistograms | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.counts.values())


def count_rows(parts: Iterable[Part]) -> Counter[str]:
    """Number of rows by status, `ok` first."""
    counts: Counter[str] = Counter({"ok": 0})
    for part in parts:
        counts.update(part.counts)
    return counts


def join_scores(
    label_names: Sequence[str], pieces: Iterable[ScoreHistograms | None]
) -> ScoreHistograms | None:
    """The histograms of all pieces together; None where one has none."""
    total = np.zeros((len(label_names), BINS), np.int64)
    for piece in pieces:
        if piece is None:
            return None
        total += piece.array
    return ScoreHistograms.from_array(label_names, total)


class ShardFolder:
    """The parts of one shard; made by `open_shard`, which holds its lock.

    Attributes:
        path: The folder.
        shard: Which shard it is.
    """

    def __init__(self, path: str, shard: Shard):
        self.path = path
        self.shard = shard
        self._job: Job | None = None
        if os.path.exists(self._job_file):
            with open(self._job_file, "rb") as file:
                self._job = parse_job(file.read(), self._job_file)

    @property
    def has_job(self) -> bool:
        """Whether its parts belong to a job."""
        return self._job is not None

    @property
    def job(self) -> Job:
        """What its parts belong to.

        Raises:
            ValueError: the folder has no job.
        """
        if self._job is None:
            raise ValueError(f"{self.path!r} has no {JOB_FILE}: it is the folder of no job.")
        return self._job

    @property
    def _job_file(self) -> str:
        return os.path.join(self.path, JOB_FILE)

    def begin(self, job: Job) -> None:
        """Makes the folder that of `job`."""
        self._job = job
        write_json(self._job_file, job.to_json())

    def forget(self) -> None:
        """Makes it a folder without a job again."""
        self._job = None
        os.remove(self._job_file)

    def remove_parts(self, first: int = 0) -> None:
        """Removes all parts from number `first` on, whatever job they are of."""
        for match in filter(None, map(_PART_FILE.fullmatch, os.listdir(self.path))):
            if int(match[1]) >= first:
                os.remove(os.path.join(self.path, match[0]))

    def _file(self, number: int, suffix: str) -> str:
        return os.path.join(self.path, f"part-{number:06}{suffix}")

    @property
    def has_parts(self) -> bool:
        """Whether at least one part is finished."""
        return os.path.exists(self._file(0, ".json"))

    def parts(self) -> Iterator[Part]:
        """The finished parts in order, up to the first that is missing or damaged."""
        number = 0
        while part := self._finished_part(number):
            yield part
            number += 1

    def _finished_part(self, number: int) -> Part | None:
        path = self._file(number, self.job.settings["format"])
        try:
            with open(self._file(number, ".json"), encoding="utf-8") as file:
                values = json.load(file)
            scores, names = values.get("scores"), self.job.columns.label_names
            read = ScoreHistograms.from_json(scores, names) if scores else None
            part = Part(path, values["counts"], values["sha256"], read)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        is_whole = os.path.exists(path) and hash_file(path) == part.sha256
        return part if is_whole else None

    def all_parts(self) -> list[Part]:
        """The parts of a finished shard.

        Raises:
            ValueError: when rows are missing.
        """
        parts = list(self.parts())
        expected = len(self.shard.rows(self.job.rows, self.job.settings["batch_size"]))
        if (rows := sum(part.rows for part in parts)) != expected:
            raise ValueError(
                f"Shard {self.shard} has {rows} of its {expected} rows. Repeat its command first:"
                " it continues where it stopped."
            )
        return parts

    @contextlib.contextmanager
    def new_part(self, number: int, counts: Counter[str], scores: np.ndarray) -> Iterator[Any]:
        """A writer for a part; it is finished when the body ends without exception.

        Args:
            number: Its number, from 0.
            counts: Number of its rows by status, complete when the body ends.
            scores: int64 `[L, BINS]`, how its probabilities are spread, likewise.
        """
        path = self._file(number, self.job.settings["format"])
        with open_writer(path, self.job.columns, is_part=True) as writer:
            yield writer
        histograms = ScoreHistograms.from_array(self.job.columns.label_names, scores)
        values = {"counts": counts, "sha256": hash_file(path), "scores": histograms.to_json()}
        write_json(self._file(number, ".json"), values)


def job_folder(output: str) -> str:
    """Where the parts of an output lie while its job runs."""
    return f"{output}.parts"


def heatmap_folder(output: str) -> str:
    """Where the heatmap files of all shards lie while the job runs."""
    return os.path.join(job_folder(output), "heatmaps")


@contextlib.contextmanager
def open_shard(output: str, shard: Shard) -> Iterator[ShardFolder]:
    """The folder of a shard, made where needed and locked while the body runs.

    Raises:
        ValueError: when it cannot be written, or another process works on it.
    """
    path = os.path.join(job_folder(output), shard.folder_name)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ValueError(f"Cannot write beside {output!r}: {error.strerror}.") from error
    with lock_folder(path):
        yield ShardFolder(path, shard)


def find_shards(output: str) -> list[ShardFolder]:
    """All shards of an output that have a job, by number."""
    folder = job_folder(output)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    matches = filter(None, map(_SHARD_FOLDER.fullmatch, names))
    shards = [
        ShardFolder(os.path.join(folder, match[0]), Shard(int(match[1]), int(match[2])))
        for match in matches
    ]
    return sorted((s for s in shards if s.has_job), key=lambda s: (s.shard.count, s.shard.number))


def start_or_continue(output: str, folder: ShardFolder, job: Job) -> list[Part]:
    """The parts of `job` that are finished already, after a check that they are of this job.

    Raises:
        ValueError: when the output has parts of another job; the message says what differs.
    """
    is_new = not folder.has_job or not folder.has_parts
    if is_new:
        folder.begin(job)
    for other in find_shards(output):
        what = [f"it has {other.shard.count} shards, now {folder.shard.count}"]
        if other.shard.count == folder.shard.count:
            is_own = other.shard == folder.shard
            what = job.differences(other.job, is_own) if other.has_parts else []
        if what:
            if not folder.has_parts:
                folder.forget()
            raise ValueError(
                f"{job_folder(output)!r} holds the state of another job: {'; '.join(what)}."
                " Repeat the earlier command to finish that job, or remove the folder to start"
                " afresh."
            )
    parts = [] if is_new else list(folder.parts())
    # Not before the check: a refused command removes nothing, and shards share their heatmaps.
    # Behind a damaged part too: the next one may begin at another row than before.
    folder.remove_parts(len(parts))
    if is_new and folder.shard.count == 1 and os.path.isdir(heatmap_folder(output)):
        shutil.rmtree(heatmap_folder(output))  # Of a job that finished no part.
    return parts
