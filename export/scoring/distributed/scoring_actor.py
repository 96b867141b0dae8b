"""Scores single parts of a job on any machine: what an actor of a distributed engine runs."""

import contextlib
import json
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from export.files.remote_files import is_url
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import open_loader
from export.scoring.distributed.part_folder import PartFolder
from export.scoring.engine.error_share import ErrorShare
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_record import Job
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.output.rows import RowBlock
from export.scoring.output.writers import open_writer
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.processor import compare_with_verdict
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import ScoringInput


def encode_inputs(inputs: Sequence[ScoringInput]) -> str:
    """Inputs from files as JSON, with bytes of paths that are not UTF-8 as escapes."""
    return json.dumps(
        [(value.image, value.path, value.box, value.problem, value.member) for value in inputs]
    )


def decode_inputs(text: str) -> list[ScoringInput]:
    """Reads `encode_inputs` back."""

    def decode(image: str, path: str, box: Any, problem: str | None, member: Any) -> ScoringInput:
        box, member = (None if value is None else tuple(value) for value in (box, member))
        return ScoringInput(image, path, box, problem, member)

    return [decode(*values) for values in json.loads(text)]


class ScoringActor:
    """Scores parts with one session of the network; a callable for Ray Data's `map_batches`.

    Args:
        config: The job; `output` is the folder of its parts, a URL or an absolute path.
        job: Its settings and columns.
        get_model: Gives the bytes of the model file.
        start_folder: Where relative paths of the job start; becomes this process's folder.
    """

    def __init__(
        self,
        config: ScoringConfig,
        job: Job,
        get_model: Callable[[], bytes],
        start_folder: str,
    ):
        self._config = config
        self._job = job
        self._folder = PartFolder(config.output)
        self._start_folder = start_folder
        self._problem = ""
        with contextlib.suppress(OSError):  # Missed only by a job with relative paths: `_score`.
            os.chdir(start_folder)
        try:
            self._session = _open_session(config, get_model())
            self._session.warm_up(config.batch_size)
            self._warning = compare_with_verdict(
                self._session.description, self._session.provider, config.model
            )
        except (ValueError, OSError) as error:
            # Said by its parts: an actor that dies of it is reported in a hundred lines.
            self._problem = f"A node cannot open the network: {error}"
            return
        rule = job.thresholds, job.label_groups
        heatmaps = HeatmapRows(config, job.columns.label_names, "", *rule)
        devices = NetworkDevices.of(self._session)
        self._scorer = ShardScorer(config, devices, job, heatmaps)

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """Scores and stores parts.

        Args:
            batch: `number` and `inputs` (see `encode_inputs`) of each part.

        Returns:
            `record`: JSON with the part's number, its counts by status, the provider and process
            that scored it, and `warning`, what they say of the model or empty; or with `stopped`,
            why it could not be scored, or why most of its images failed: then it is not stored.
        """
        parts = zip(batch["number"], batch["inputs"], strict=True)
        records = [self._score(int(number), decode_inputs(text)) for number, text in parts]
        return {"record": [json.dumps(record) for record in records]}

    def _score(self, number: int, inputs: list[ScoringInput]) -> dict[str, Any]:
        if problem := self._problem or self._misses_start_folder(inputs):
            return {"number": number, "stopped": problem}
        counts: Counter[str] = Counter()
        error_share = ErrorShare(self._config.max_error_share)

        def watch(block: RowBlock) -> None:
            counts.update(block.statuses)
            error_share.update(block.statuses, block.errors)

        try:
            data = self._part(number, inputs, watch)
        except (ValueError, OSError) as error:  # The second: this node's own disk is full.
            return {"number": number, "stopped": str(error)}
        record = {"number": number, "counts": counts, "provider": self._session.placement}
        record["process"] = f"{os.getpid()} on {socket.gethostname()}"
        try:
            self._folder.write_part(number, data, record)
        except Exception as error:  # Each kind of storage raises its own types.
            what = f"Part {number} cannot be stored in {self._folder.url!r}"
            return {"number": number, "stopped": f"{what}: {type(error).__name__}: {error}"}
        return record | {"warning": self._warning}

    def _misses_start_folder(self, inputs: Sequence[ScoringInput]) -> str:
        """Why the relative paths among the inputs cannot be read here; empty when they can."""
        if os.path.realpath(os.getcwd()) == os.path.realpath(self._start_folder):
            return ""
        paths = (value.path for value in inputs if value.path and not is_url(value.path))
        relative = next((path for path in paths if not os.path.isabs(path)), None)
        if relative is None:
            return ""
        return (
            f"{socket.gethostname()} has no folder {self._start_folder!r}, from which paths such as"
            f" {relative!r} start. Give absolute paths or URLs that every node can read."
        )

    def _part(
        self, number: int, inputs: list[ScoringInput], watch: Callable[[RowBlock], None]
    ) -> bytes:
        """The Parquet file of a part."""
        first_row = number * self._job.settings["rows_per_part"]
        rows = range(first_row, first_row + len(inputs))
        preprocessing = self._session.description.preprocessing
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "part.parquet")
            with (
                open_writer(path, self._job.columns) as writer,
                open_loader(self._config, preprocessing, len(inputs)) as loader,
                contextlib.closing(self._scorer.blocks(rows, iter(inputs), loader)) as blocks,
            ):
                for block in blocks:
                    writer.write(block)
                    watch(block)
            with open(path, "rb") as file:
                return file.read()


def _open_session(config: ScoringConfig, model: bytes) -> NetworkSession:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(model)
        return NetworkSession(path, config.providers, config.gpu_memory_mb, config.threads)
