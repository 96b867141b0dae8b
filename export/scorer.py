"""Batch scoring: every input gets exactly one row, in input order, whatever happens to it.

Rows are written in parts (`export/parts.py`), so a job that was killed goes on where it stopped,
and assembled at the end (`export/assembly.py`).
"""

import collections
import concurrent.futures
import contextlib
import functools
import importlib.metadata
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from export.assembly import assemble
from export.batch import LoadedInput, load, score_batch
from export.bundle import hash_labels
from export.config import ScoringConfig
from export.error_share import ErrorShare
from export.parts import Job, ShardFolder, open_shard, start_or_continue
from export.progress import Progress
from export.rows import Columns
from export.scoring_input import Source
from export.scoring_report import ScoringReport
from export.session import NetworkSession
from export.shard import Shard
from export.sources import open_source
from export.writers import check_output

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
# Packages whose version may change the last digits of a score.
_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "pillow")


def score(config: ScoringConfig) -> ScoringReport:
    """Scores all images of a job, or of one shard of it, and writes one row for each.

    The same call after the process died goes on behind its last finished part.

    Raises:
        ValueError: when the model, the images or the output cannot be used at all, when the output
            has the state of another job, or when most images fail. A single bad image is no
            exception but a row with its status.
    """
    check_output(config.output)
    shard = Shard.parse(config.shard)
    session = NetworkSession(config.model, config.providers)
    source = open_source(config.images, config.image_root)
    thresholds = np.array(session.description.thresholds, np.float32)
    if config.threshold >= 0.0:
        thresholds[:] = config.threshold
    columns = Columns(session.description.label_names, source.has_boxes)
    job = Job(_settings(config, session, source, thresholds), columns, source.count)

    start = time.monotonic()
    with open_shard(config.output, shard) as folder:
        finished = start_or_continue(config.output, folder, job)
        resumed = sum(part.rows for part in finished)
        with _load_ahead(config, session, source, shard, resumed) as loaded:
            _write_parts(config, session, thresholds, folder, loaded, len(finished), resumed)
        parts = list(folder.parts())
        counts = collections.Counter({"ok": 0})
        for part in parts:
            counts.update(part.counts)
        output = folder.path
        if shard.count == 1:
            assemble(config.output, job, parts)
            output = config.output
    seconds = time.monotonic() - start
    return ScoringReport(counts, seconds, output, session.provider, source.left_out, resumed)


def _settings(
    config: ScoringConfig, session: NetworkSession, source: Source, thresholds: np.ndarray
) -> dict[str, Any]:
    """All that decides the bytes of the output, as plain values."""
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "model_sha256": session.sha256,
        "label_names_sha256": hash_labels(session.description.label_names),
        "images_sha256": source.sha256,
        "image_root": config.image_root,
        "format": check_output(config.output),
        "thresholds": thresholds.tolist(),
        "batch_size": config.batch_size,
        "rows_per_part": _rows_per_part(config),
        "provider": session.provider,
        "versions": versions,
    }


def _rows_per_part(config: ScoringConfig) -> int:
    """Whole batches: so a row's place in its batch does not depend on where a job went on."""
    return -(-config.rows_per_shard // config.batch_size) * config.batch_size


@contextlib.contextmanager
def _load_ahead(config, session, source, shard, resumed) -> Iterator[Iterator[LoadedInput]]:
    """The inputs of a shard that are still to do, loaded."""
    rows = shard.rows(source.count, config.batch_size)
    inputs = itertools.islice(source.read(), rows.start + resumed, rows.stop)
    function = functools.partial(load, preprocessing=session.description.preprocessing)
    # Two batches ahead: one is decoded while the network computes another.
    with map_ahead(function, inputs, config.decoders, 2 * config.batch_size) as loaded:
        yield loaded


def _write_parts(
    config: ScoringConfig,
    session: NetworkSession,
    thresholds: np.ndarray,
    folder: ShardFolder,
    loaded: Iterator[LoadedInput],
    first: int,
    done: int,
) -> None:
    """Scores what is left of a shard: parts from number `first`, `done` rows being there."""
    rows = len(folder.shard.rows(folder.job.rows, config.batch_size))
    per_part = _rows_per_part(config)
    error_share = ErrorShare(config.max_error_share)
    with Progress(rows, done) as progress:
        for number in range(first, -(-rows // per_part)):
            left = min(per_part, rows - number * per_part)
            counts = collections.Counter()
            error_share.begin_part()
            with folder.new_part(number, counts) as writer:
                while left:
                    batch = list(itertools.islice(loaded, min(left, config.batch_size)))
                    if not batch:
                        raise ValueError(f"{config.images!r} lost rows while it was read.")
                    block = score_batch(session, thresholds, batch, config.batch_size)
                    writer.write(block)
                    counts.update(block.statuses)
                    error_share.update(block.statuses, block.errors)
                    left -= len(batch)
                    progress.update(len(batch), sum(s != "ok" for s in block.statuses))


@contextlib.contextmanager
def map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, ahead: int
) -> Iterator[Iterator[_Result]]:
    """The results of `function` in the order of `items`, computed by threads.

    At most `ahead` results wait at any time, so memory does not grow with the number of items.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        yield _results_in_order(pool, function, iter(items), ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _results_in_order(pool, function, items, ahead) -> Iterator:
    waiting = collections.deque(pool.submit(function, i) for i in itertools.islice(items, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
        yield result
