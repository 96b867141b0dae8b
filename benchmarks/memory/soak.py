"""An hour of scoring and an hour of serving: does memory stay where it is?

    python -m benchmarks.memory.soak --model=bundles/mine/model.onnx --images=photos

`score.py` scores a list that takes `--minutes` (the images, again and again, by the speed of two
short lists), then `serve.py` answers `--clients` clients for as long. Memory is that of a process
and all that it started, what they share counted once, without files such as libraries, which are
divided among all processes of the machine; it is looked at 600 times. Printed is its median in
the last tenth of the time against that in the second tenth, before which caches fill, and in every
tenth: what settles rises ever less, what leaks rises on. The exit code is 1 where it grew by more
than `--most_growth`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks.memory.processes import WITHOUT_FILES, MemoryWatch, require_readable_memory
from benchmarks.photographs import list_photographs
from benchmarks.serving.client import send_all, started_server

FLAGS = flags.FLAGS
_SHORT_LISTS = 512, 2048  # Rows; their times say how long a list must be.
_ROUND = 64  # Requests between two looks at the clock.
_LOOKS = 600


def main(_) -> int:
    require_readable_memory()
    with tempfile.TemporaryDirectory() as folder:
        soaks = {"score.py": soak_scoring, "serve.py": soak_serving}
        grown = [show(name, *soaks[name](folder)) for name in soaks if name in FLAGS.program]
    return 0 if all(growth <= FLAGS.most_growth for growth in grown) else 1


def show(name: str, images: int, seen: Sequence[int]) -> float:
    """Prints a line; returns the share by which memory grew.

    Args:
        name: Of the program.
        images: That it took.
        seen: Bytes, look by look.

    Raises:
        UsageError: fewer than 20 looks, or no memory was seen.
    """
    if len(seen) < 20:
        raise app.UsageError(f"{name} was looked at {len(seen)} times only: give more --minutes.")
    tenths = [np.median(tenth) / 2**20 for tenth in np.array_split(seen, 10)]
    early, late = tenths[1], tenths[-1]
    if not (early and late):
        raise app.UsageError(
            f"{name}: {early:.0f} MiB early and {late:.0f} MiB late were seen, expected more than"
            " none: /proc/PID/smaps_rollup must be readable."
        )
    print(
        f"{name}: {images} images in {len(seen) * _between_looks() / 60:.1f} min, memory"
        f" {early:.1f} MiB early, {late:.1f} MiB late ({late / early - 1.0:+.2%}),"
        f" {max(seen) / 2**20:.1f} MiB at most; by tenths of the time"
        f" {' '.join(f'{tenth:.2f}' for tenth in tenths)}",
        flush=True,
    )
    return late / early - 1.0


def soak_scoring(folder: str) -> tuple[int, list[int]]:
    """Scores for `--minutes`; returns how many images, and the memory that was seen."""
    few, many = _SHORT_LISTS
    seconds = [_score(rows, folder)[0] for rows in (few, many)]
    per_second = (many - few) / max(seconds[1] - seconds[0], 0.1)
    rows = max(many, int(per_second * FLAGS.minutes * 60.0))
    return rows, _score(rows, folder)[1]


def _between_looks() -> float:
    return FLAGS.minutes * 60.0 / _LOOKS


def _score(rows: int, folder: str) -> tuple[float, list[int]]:
    list_file = os.path.join(folder, "list.txt")
    list_photographs(FLAGS.images, rows, list_file)
    output = os.path.join(folder, "scores.parquet")
    command = [sys.executable, "score.py", f"--model={FLAGS.model}", f"--images={list_file}"]
    command += [f"--output={output}", "--overwrite", "--providers=cpu"]
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=printed)
        with MemoryWatch(process.pid, _between_looks(), WITHOUT_FILES) as watch:
            exit_code = process.wait()
        if exit_code:
            printed.seek(0)
            raise RuntimeError(f"score.py ended with {exit_code}: {printed.read()[-2000:]}")
    return time.monotonic() - start, watch.seen


def soak_serving(folder: str) -> tuple[int, list[int]]:
    """Sends images for `--minutes`; returns how many, and the server's memory that was seen."""
    paths = list_photographs(FLAGS.images, _ROUND, os.path.join(folder, "list.txt"))
    bodies = []
    for path in paths:
        with open(path, "rb") as file:
            bodies.append(file.read())
    sent = 0
    with started_server(FLAGS.model) as (address, process):
        end = time.monotonic() + FLAGS.minutes * 60.0
        with MemoryWatch(process, _between_looks(), WITHOUT_FILES) as watch:
            while time.monotonic() < end:
                send_all(address, bodies, FLAGS.clients)
                sent += len(bodies)
    return sent, watch.seen


if __name__ == "__main__":
    flags.DEFINE_string("model", None, "The model.onnx of a bundle.", required=True)
    flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
    flags.DEFINE_float("minutes", 60.0, "Of scoring, and of serving.", lower_bound=0.01)
    programs = ["score.py", "serve.py"]
    flags.DEFINE_multi_enum("program", programs, programs, "To soak; repeat the flag.")
    flags.DEFINE_integer("clients", 8, "Clients of the server at the same time.", lower_bound=1)
    flags.DEFINE_float("most_growth", 0.02, "Share by which memory may grow.")
    app.run(main)
