"""A server under load, against the batch job on the same images and cores.

    python -m benchmarks.serving.load --images=photos --work_dir=/tmp/benchmark

`--clients=1,8,32` clients (each with one connection, the next image when the last one is answered)
send every image once, one image a request; `score.py` scores the same files. They take turns, each
round from another one on; the start of the server and of the job are left out. Prints images/s,
latencies as the clients see them, the share of the batch job's images/s, how far the scores are
from the batch job's, and how busy the machine was. Clients take a part of the cores: on a quiet
machine a tenth and less. With `taskset -c 0` before the command all of them use one core.

The first call exports a network (ResNet-50, about a minute; `--model` takes another one); then
about three minutes on two cores of 2026. With `--server=http://host:8000` it is a client only.
"""

import contextlib
import json
import os

import numpy as np
from absl import app, flags

from benchmarks.photographs import list_photographs
from benchmarks.serving.client import Run, send_all, started_server

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Keeps the exported network.", required=True)
_MODEL = flags.DEFINE_string("model", "", "Another network: the model.onnx of a bundle.")
_BACKBONE = flags.DEFINE_string("backbone", "resnet50", "Backbone of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of its input.")
_COUNT = flags.DEFINE_integer("count", 256, "Images of a round; photographs are repeated.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each way.")
_CLIENTS = flags.DEFINE_list("clients", "1,8,32", "Numbers of clients at the same time.")
_SERVER = flags.DEFINE_string("server", "", "Address of a server that runs (no batch job then).")


def run_job(model: str, list_file: str, output: str) -> Run:
    """Scores the same images with `score.py`'s job, its start left out."""
    from export.scoring.config import ScoringConfig
    from export.scoring.job import score

    seconds = score(ScoringConfig(model, list_file, output=output, overwrite=True)).seconds
    with open(output, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    leading = ("image", "status", "error", "decisions")
    labels = [name for name in rows[0] if name not in leading]
    return Run(seconds, np.zeros(0), np.array([[row[name] for name in labels] for row in rows]))


def exported_model() -> str:
    """The network to measure, which is exported where it is not there yet."""
    if _MODEL.value:
        return _MODEL.value
    from benchmarks.exported_network import export_network

    return export_network(_WORK_DIR.value, _BACKBONE.value, _IMAGE_SIZE.value)[0]


def main(_) -> None:
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    list_file, output = (os.path.join(_WORK_DIR.value, name) for name in ("list.txt", "rows.jsonl"))
    bodies = []
    for path in list_photographs(_IMAGES.value, _COUNT.value, list_file):
        with open(path, "rb") as file:
            bodies.append(file.read())
    with contextlib.ExitStack() as opened:
        address, ways = _SERVER.value, {}
        if not address:
            model = exported_model()
            address, _ = opened.enter_context(started_server(model))
            ways["`score.py`"] = lambda: run_job(model, list_file, output)
        for count in map(int, _CLIENTS.value):
            ways[f"{count} clients"] = lambda count=count: send_all(address, bodies, count)
        send_all(address, bodies[:8], 1)  # A warm-up.
        load_before = os.getloadavg()[0]
        show(measure(ways))
    print(
        f"\n{len(os.sched_getaffinity(0))} of the machine's {os.cpu_count()} cores; load average"
        f" {load_before:.1f} before, {os.getloadavg()[0]:.1f} after."
    )


def measure(ways) -> dict[str, list[Run]]:
    """The runs of all ways, in turns."""
    names, runs = list(ways), {name: [] for name in ways}
    for turn in range(_ROUNDS.value):
        first = turn % len(names)  # What ran before can slow what comes next.
        for name in names[first:] + names[:first]:
            runs[name].append(ways[name]())
    return runs


def show(runs: dict[str, list[Run]]) -> None:
    """Prints a table of medians over rounds."""
    first = next(iter(runs.values()))
    print(f"| | images/s | of {next(iter(runs))} | p50 ms | p99 ms | scores off, at most |")
    print("|---|---|---|---|---|---|")
    slowest = np.median([run.seconds for run in first])
    for name, some in runs.items():
        seconds = np.median([run.seconds for run in some])
        latencies = np.concatenate([run.latencies for run in some]) * 1000.0
        shown = [f"{np.percentile(latencies, p):.1f}" if len(latencies) else "" for p in (50, 99)]
        off = max(np.abs(run.probabilities - first[0].probabilities).max() for run in some)
        print(
            f"| {name} | {_COUNT.value / seconds:.1f} | {slowest / seconds:.2f} | {shown[0]} |"
            f" {shown[1]} | {off:.1e} |"
        )


if __name__ == "__main__":
    app.run(main)
