"""Scores a job on a local Ray cluster of two nodes, kills one in the middle, and compares.

    ray-venv/bin/python -m benchmarks.ray_two_nodes --model=bundles/mine/model.onnx --images=photos

The environment is that of requirements-ray.txt. The images are repeated in a list of --rows rows,
with a missing file as every thousandth. Both nodes are processes of this machine, with one CPU
and one actor each; the one without the driver is killed (SIGKILL of all its processes) when a
third of the parts is stored. The parts, joined, must be the local scorer's output byte for byte.
Prints the figures as JSON; exit code 1 when the outputs differ, or when no part was left to be
scored after the kill.

Takes a few minutes for 10,000 rows on two cores.
"""

import collections
import itertools
import json
import os
import sys
import tempfile
import threading
import time

import ray
from absl import app
from absl import flags as absl_flags
from ray.cluster_utils import Cluster

from export.files.remote_files import read_file
from export.scoring.config import ScoringConfig
from export.scoring.distributed.part_folder import PartFolder
from export.scoring.distributed.ray_engine import number_of_parts, score_with_ray
from export.scoring.engine.job_record import Job
from export.scoring.job import score
from export.scoring.output.writers import open_writer
from export.scoring.sources.open_source import open_source

_MODEL = absl_flags.DEFINE_string("model", None, "The model.onnx of a bundle.", required=True)
_IMAGES = absl_flags.DEFINE_string("images", None, "Images to repeat.", required=True)
_ROWS = absl_flags.DEFINE_integer("rows", 10_000, "Rows of the job.")
_ROWS_PER_PART = absl_flags.DEFINE_integer("rows_per_part", 256, "Rows of a part.")


def write_list(folder: str) -> str:
    """A list of the images, repeated, with missing files among them."""
    images = [os.path.abspath(value.path) for value in open_source(_IMAGES.value).read()]
    paths = list(itertools.islice(itertools.cycle(images), _ROWS.value))
    paths[::1000] = [f"missing {row}.jpg" for row in range(0, _ROWS.value, 1000)]
    path = os.path.join(folder, "list.txt")
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{path}\n" for path in paths)
    return path


class Killer(threading.Thread):
    """Kills a node when a number of parts is stored; `facts` say what then was."""

    def __init__(self, cluster: Cluster, node, folder: PartFolder, parts: int):
        super().__init__(daemon=True)
        self._cluster, self._node, self._folder, self._parts = cluster, node, folder, parts
        self.facts = {}

    def run(self) -> None:
        start = time.monotonic()
        while len(records := self._folder.finished()) < self._parts:
            time.sleep(0.2)
        by_process = collections.Counter(record["process"] for record in records.values())
        self._cluster.remove_node(self._node, allow_graceful=False)
        self.facts = {
            "killed_after_seconds": round(time.monotonic() - start, 1),
            "parts_by_process_before": dict(by_process),
        }


def score_and_kill(config: ScoringConfig) -> dict:
    """Runs the job on two nodes, of which one does not survive; the figures."""
    parts = -(-_ROWS.value // _ROWS_PER_PART.value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False)
        nodes_before = sum(entry["Alive"] for entry in ray.nodes())
        killer = Killer(cluster, node, PartFolder(config.output), parts // 3)
        killer.start()
        report = score_with_ray(config)
        killer.join()
        nodes_after = sum(entry["Alive"] for entry in ray.nodes())
    finally:
        ray.shutdown()
        cluster.shutdown()
    records = PartFolder(config.output).finished().values()
    return {
        "rows": sum(report.counts.values()),
        "counts": dict(report.counts),
        "nodes": [nodes_before, nodes_after],
        **killer.facts,
        "parts_by_process": dict(collections.Counter(record["process"] for record in records)),
        "seconds": round(report.seconds, 1),
    }


def joined(folder: str, output: str) -> bytes:
    """The parts of a folder as one file, made as the local scorer makes its own."""
    job = Job.from_json(json.loads(read_file(os.path.join(folder, "_job", "job.json"))))
    properties = {key: job.settings[key] for key in ("model_sha256", "label_names_sha256")}
    with open_writer(output, job.columns, properties) as writer:
        for number in range(number_of_parts(job)):
            writer.append_part(PartFolder(folder).part(number))
    return read_file(output)


def main(_) -> int:
    with tempfile.TemporaryDirectory() as folder:
        config = ScoringConfig(
            model=os.path.abspath(_MODEL.value),
            images=write_list(folder),
            output=os.path.join(folder, "scores"),
            rows_per_part=_ROWS_PER_PART.value,
            engine="ray",
        )
        figures = score_and_kill(config)
        local = os.path.join(folder, "local.parquet")
        report = score(ScoringConfig(model=config.model, images=config.images, output=local))
        figures["local_seconds"] = round(report.seconds, 1)
        figures["equal"] = read_file(local) == joined(
            config.output, os.path.join(folder, "joined.parquet")
        )
    stored, parts = (
        sum(figures[name].values()) for name in ("parts_by_process_before", "parts_by_process")
    )
    print(json.dumps(figures, indent=1))
    if stored >= parts:
        print("The node was killed when the job was done: give more --rows.", file=sys.stderr)
    return 0 if figures["equal"] and stored < parts else 1


if __name__ == "__main__":
    app.run(main)
