"""Scoring on many machines: Ray Data hands the parts of a job to a pool of actors.

An actor scores whole parts with the code of the local scorer and stores each as a file, so the
scores do not depend on the number of actors. When a node dies, Ray gives its parts to another;
when the driver dies, the same command goes on with the parts that are missing.
"""

import dataclasses
import functools
import itertools
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from export.files.remote_files import is_url, read_file
from export.scoring.config import ScoringConfig
from export.scoring.distributed.part_folder import PartFolder
from export.scoring.distributed.scoring_actor import ScoringActor, encode_inputs
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_record import Job
from export.scoring.engine.job_settings import describe_job
from export.scoring.progress.line import Progress
from export.scoring.progress.metrics import job_metrics
from export.scoring.report import ScoringReport
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import Source
from export.scoring.sources.open_source import open_source

_LOGGER = logging.getLogger(__name__)


def score_with_ray(config: ScoringConfig) -> ScoringReport:
    """Scores all images of a job on a Ray cluster; `config.output` is a folder of Parquet files.

    Raises:
        ValueError: when Ray is not installed, and as `export.scoring.job.score`.
    """
    ray = _import_ray()
    if not is_url(config.output):
        config = dataclasses.replace(config, output=os.path.abspath(config.output))
    session = NetworkSession(config.model, "cpu")
    source = open_source(config.images, config.image_root, config.read_limits)
    # As the local scorer does: a row's place in its batch is part of its score.
    config = dataclasses.replace(config, batch_size=min(config.batch_size, source.count))
    job = describe_job(config, session, source)
    HeatmapRows(config, job.columns.label_names, "", job.thresholds)  # Checks its labels.

    start = time.monotonic()
    folder = PartFolder(config.output)
    with folder.lock():
        folder.start_or_continue(job)
        records = folder.finished()
        resumed = sum(_rows(record) for record in records.values())
        if len(records) < number_of_parts(job):
            _run_parts(ray, config, job, source, records)
        counts: Counter[str] = Counter({"ok": 0})
        for record in records.values():
            counts.update(record["counts"])
        folder.finish(job, counts)
    providers = ", ".join(sorted({record["provider"] for record in records.values()}))
    seconds = time.monotonic() - start
    return ScoringReport(counts, seconds, folder.url, providers, source.left_out, resumed)


def number_of_parts(job: Job) -> int:
    """How many parts a job has."""
    return -(-job.rows // job.settings["rows_per_part"])


def missing_parts(
    job: Job, source: Source, finished: dict[int, dict[str, Any]]
) -> Iterator[tuple[int, str]]:
    """Number and encoded inputs of the parts that are still to do, in one pass over the inputs."""
    inputs = source.read()
    for number in range(number_of_parts(job)):
        part = list(itertools.islice(inputs, job.settings["rows_per_part"]))
        if number not in finished:
            yield number, encode_inputs(part)


def _run_parts(
    ray: ModuleType,
    config: ScoringConfig,
    job: Job,
    source: Source,
    records: dict[int, dict[str, Any]],
) -> None:
    """Scores the missing parts and adds their records."""
    done: Counter[str] = Counter()
    for record in records.values():
        done.update(record["counts"])
    facts = {"output": config.output, "model_sha256": job.settings["model_sha256"]}
    with (
        Progress(job.rows, done.total()) as progress,
        job_metrics(config, job.rows, done, facts) as metrics,
    ):
        said = {""}
        for row in _dataset(ray, config, job, missing_parts(job, source, records)).iter_rows():
            record = json.loads(row["record"])
            if "stopped" in record:
                raise ValueError(record["stopped"])
            if (warning := record.pop("warning")) not in said:  # Once for each kind of node.
                said.add(warning)
                _LOGGER.warning("Process %s: %s", record["process"], warning)
            records[record["number"]] = record
            progress.update(_rows(record), _rows(record) - record["counts"].get("ok", 0))
            metrics.update(Counter(record["counts"]))


def _dataset(
    ray: ModuleType, config: ScoringConfig, job: Job, parts: Iterator[tuple[int, str]]
) -> Any:
    """A dataset with one block per part, scored when it is iterated."""
    import pyarrow

    # Without an address a cluster of its own: Ray would join whatever runs on this machine.
    address = config.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    can_grow = ray.is_initialized() or address != "local"
    if not ray.is_initialized():
        _start_or_join(ray, address)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    check_resources(config, nodes, can_grow)
    ray.data.DataContext.get_current().enable_progress_bars = False  # There is one already.
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # Into the object store one by one, which spills to the disk: the driver never holds them all.
    blocks = [
        ray.put(pyarrow.table({"number": [number], "inputs": [inputs]})) for number, inputs in parts
    ]
    model = ray.put(read_file(config.model))
    # A machine may hold several actors: one thread per core of the actor, not of the machine.
    threads = max(1, round(config.ray_cpus_per_actor))
    config = dataclasses.replace(
        config, decoders=config.decoders or threads, threads=config.threads or threads
    )
    return ray.data.from_arrow_refs(blocks).map_batches(
        ScoringActor,
        fn_constructor_kwargs={
            "config": config,
            "job": job,
            "get_model": functools.partial(ray.get, model),
            "start_folder": os.getcwd(),
        },
        batch_size=1,
        # As few as one: the job goes on while nodes are missing.
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=config.ray_actors, max_tasks_in_flight_per_actor=2
        ),
        num_cpus=config.ray_cpus_per_actor,
        num_gpus=config.ray_gpus_per_actor,
    )


def _start_or_join(ray: ModuleType, address: str) -> None:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except Exception as error:  # Ray's exceptions share no narrower base.
        what = "be started here" if address == "local" else f"be reached at {address!r}"
        raise ValueError(
            f"Ray cannot {what}: {error} Check --ray_address; a busy machine may need another try."
        ) from error


def check_resources(
    config: ScoringConfig, nodes: Sequence[Mapping[str, float]], can_grow: bool
) -> None:
    """Checks that an actor fits on a node: otherwise Ray waits for ever, for one that does.

    Args:
        config: The job.
        nodes: Resources of each node of the cluster, by Ray's names for them.
        can_grow: Whether other nodes may join: it is then only logged.

    Raises:
        ValueError: when no node has what an actor needs, and none can join.
    """
    needed = {"CPU": config.ray_cpus_per_actor, "GPU": config.ray_gpus_per_actor}
    if any(all(node.get(name, 0.0) >= value for name, value in needed.items()) for node in nodes):
        return
    found = "; ".join(
        ", ".join(f"{node.get(name, 0.0):g} {name}" for name in needed) for node in nodes
    )
    message = (
        f"No node of the cluster has --ray_cpus_per_actor={config.ray_cpus_per_actor:g} and"
        f" --ray_gpus_per_actor={config.ray_gpus_per_actor:g}. Its nodes have: {found}."
    )
    if can_grow:
        _LOGGER.warning("%s The job waits for one that has.", message)
        return
    raise ValueError(f"{message} Ask for less, or give --ray_address of a larger cluster.")


def _rows(record: dict[str, Any]) -> int:
    return sum(record["counts"].values())


def _import_ray() -> ModuleType:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(
            f"--engine=ray needs Ray Data ({error}). Make an environment for it on every node:"
            " pip install -r requirements-ray.txt."
        ) from error
    return ray
