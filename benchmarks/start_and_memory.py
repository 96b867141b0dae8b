"""How long score.py takes to its first result, and whether its memory grows with the job.

    python -m benchmarks.start_and_memory --model=bundles/mine/model.onnx --images=photos

Starts score.py on one image, again and again: the wall time and the processor time of the whole
process, from its start to the finished Parquet file. Then a list of --few rows and one of --many
(the images, repeated), and the most memory that each had, its decoder processes included: what they
share is counted once (the proportional set size of all, looked at five times a second).

Takes as long as --many images take: ten minutes for the small network on small photographs.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.memory.processes import MemoryWatch, require_readable_memory
from benchmarks.photographs import list_photographs

_MODEL = flags.DEFINE_string("model", None, "The model.onnx of a bundle.", required=True)
_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_STARTS = flags.DEFINE_integer("starts", 9, "Processes that score one image.")
_FEW = flags.DEFINE_integer("few", 2_000, "Rows of the short list.")
_MANY = flags.DEFINE_integer("many", 200_000, "Rows of the long list.")

_PROGRAM = Path(__file__).resolve().parent.parent / "score.py"


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a process took.

    Attributes:
        seconds: Wall time.
        processor_seconds: Of all its threads, and of processes that it waited for.
        peak_bytes: The most memory that it and its children had at a time.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int


def run_scorer(images: str, folder: str) -> Usage:
    """Scores `images` in a process of its own.

    Raises:
        RuntimeError: when it fails, with what it printed.
    """
    job = [f"--model={_MODEL.value}", f"--images={images}", f"--output={folder}/scores.parquet"]
    command = [sys.executable, _PROGRAM, *job, "--providers=cpu", "--overwrite"]
    with tempfile.TemporaryFile("w+") as printed:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=printed, stderr=printed)
        with MemoryWatch(process.pid) as watch:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            raise RuntimeError(f"score.py ended with {process.returncode}: {printed.read()}")
    # A short process may end between two looks.
    peak = max(watch.peak_bytes, 1024 * usage.ru_maxrss)
    return Usage(seconds, usage.ru_utime + usage.ru_stime, peak)


def main(_) -> None:
    require_readable_memory()
    with tempfile.TemporaryDirectory() as folder:
        list_file = os.path.join(folder, "list.txt")
        (first,) = list_photographs(_IMAGES.value, 1, list_file)
        run_scorer(first, folder)  # Fills the cache of the disk.
        starts = [run_scorer(first, folder) for _ in range(_STARTS.value)]
        wall = [usage.seconds for usage in starts]
        processor = np.median([usage.processor_seconds for usage in starts])
        print(
            f"one image: {np.median(wall):.2f} s (median of {len(wall)}, {min(wall):.2f} to"
            f" {max(wall):.2f}), {processor:.2f} s of the processor",
            flush=True,
        )
        peaks = []
        for rows in (_FEW.value, _MANY.value):
            list_photographs(_IMAGES.value, rows, list_file)
            usage = run_scorer(list_file, folder)
            peaks.append(usage.peak_bytes)
            print(
                f"{rows} rows: {usage.seconds:.1f} s, {peaks[-1] / 2**20:.0f} MiB at most",
                flush=True,
            )
        print(f"memory of the long list: {peaks[1] / peaks[0]:.3f} times that of the short one")


if __name__ == "__main__":
    app.run(main)
