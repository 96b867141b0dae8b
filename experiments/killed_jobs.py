"""Kills a scoring job at random moments, and divides one in many ways: the scores must not change.

    python -m experiments.killed_jobs --model=bundles/mine/model.onnx --images=photos

* One job is killed with -9 --kills times and started again each time; then it may finish. Every
  second kill waits until the job has gone on: until a part more is finished.
* The same job with 1, 2 and 4 --decoders, and in 2 and 3 --shards that are joined.
  All of them must give the bytes of the unbroken job.
* Batches of 1, 7 and 32 (--batch_sizes): the same decisions, probabilities equal to 1e-6.

Prints a line each; exit code 1 when one of them fails. Five minutes for the small network.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import app, flags
from pyarrow import parquet

from benchmarks.photographs import list_photographs
from export.bundle.model_file import hash_file
from export.scoring.describe import describe_model
from export.scoring.output.rows import Columns

_MODEL = flags.DEFINE_string("model", None, "The model.onnx of a bundle.", required=True)
_IMAGES = flags.DEFINE_string("images", None, "Photographs, repeated.", required=True)
_ROWS = flags.DEFINE_integer("rows", 20_000, "Rows of the job.")
_ROWS_PER_PART = flags.DEFINE_integer("rows_per_part", 256, "Rows of a part of the job.")
_KILLS = flags.DEFINE_integer("kills", 20, "How often the job is killed.", lower_bound=2)
_DECODERS = flags.DEFINE_list("decoders", ["1", "2", "4"], "Numbers of decoders.")
_SHARDS = flags.DEFINE_list("shards", ["2", "3"], "Numbers of shards.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "7", "32"], "Sizes of batches, two at least.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")

_PROGRAM = Path(__file__).resolve().parent.parent / "score.py"
_TOLERANCE = 1e-6


class Job:
    """Command lines of one job in a folder."""

    def __init__(self, folder: str):
        self._folder = folder
        self._images = os.path.join(folder, "list.txt")
        list_photographs(_IMAGES.value, _ROWS.value, self._images)
        with open(self._images, "a", encoding="utf-8") as file:
            file.write("a missing file.jpg\n")

    def output(self, name: str) -> str:
        """The output file of a variant."""
        return os.path.join(self._folder, f"{name}.parquet")

    def command(self, name: str, *changes: str) -> list[str]:
        """The command of a variant."""
        job = [f"--model={_MODEL.value}", f"--images={self._images}", "--providers=cpu"]
        job += [f"--rows_per_part={_ROWS_PER_PART.value}", f"--output={self.output(name)}"]
        return [sys.executable, str(_PROGRAM), *job, *changes]

    def run(self, name: str, *changes: str) -> str:
        """Runs a variant; its output file."""
        subprocess.run(self.command(name, *changes), check=True, capture_output=True)
        return self.output(name)


def kill_again_and_again(job: Job, seconds: float) -> tuple[str, list[int]]:
    """The output of a job that was killed, and how many parts were finished after each kill.

    Args:
        job: The job.
        seconds: What the unbroken job takes.

    Raises:
        RuntimeError: it ended before the last kill however fast they came.
    """
    # With the first pace about a third of the job is done when the last kill has come.
    for pace in (1.5, 0.8, 0.4, 0.2, 0.1):
        parts = _kill(job, pace * seconds / _KILLS.value)
        if len(parts) == _KILLS.value:
            return job.run("killed"), parts
        os.remove(job.output("killed"))
    raise RuntimeError("The job ended before it was killed often enough: give more --rows.")


def _kill(job: Job, longest: float) -> list[int]:
    """Finished parts after each kill, fewer than asked for when the job came to its end.

    The second, fourth, ... of them is larger than the one before.

    Args:
        job: The job.
        longest: Seconds after which it is killed at the latest; a tenth of them after a new part.
    """
    chance, parts = random.Random(_SEED.value), []
    folder = Path(f"{job.output('killed')}.parts")

    def finished() -> int:
        return len(list(folder.glob("*/part-*.json")))

    while len(parts) < _KILLS.value:
        process = subprocess.Popen(
            job.command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        waits = len(parts) % 2 == 1
        while waits and process.poll() is None and finished() <= parts[-1]:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, longest / 10 if waits else longest))
        process.send_signal(signal.SIGKILL)
        # It may be killed when its output is written and its parts are gone.
        if process.wait() != -signal.SIGKILL or os.path.exists(job.output("killed")):
            break
        parts.append(finished())
    return parts


def shards(job: Job, count: int) -> str:
    """The output of a job in shards, joined."""
    name = f"{count} shards"
    for number in range(1, count + 1):
        job.run(name, f"--shard={number}/{count}")
    merge = [sys.executable, str(_PROGRAM), "--merge", f"--output={job.output(name)}"]
    subprocess.run(merge, check=True, capture_output=True)
    return job.output(name)


def compare_batches(files: Sequence[str], labels: Sequence[str]) -> tuple[int, float]:
    """Decisions that differ from the first file's, and the largest difference of a probability."""
    first, *others = (parquet.read_table(file) for file in files)
    changed, largest = 0, 0.0
    for other in others:
        if other["image"] != first["image"] or other["status"] != first["status"]:
            raise RuntimeError("Rows moved.")
        pairs = zip(first["decisions"].to_pylist(), other["decisions"].to_pylist(), strict=True)
        changed += sum(len(set(a or ()) ^ set(b or ())) for a, b in pairs)
        for label in labels:
            values = [np.array(table[label].to_numpy(), np.float64) for table in (first, other)]
            known = [~np.isnan(each) for each in values]
            if not (np.array_equal(*known) and known[0].any()):
                raise RuntimeError(f"{label}: other rows have probabilities, or none has.")
            largest = max(largest, float(np.nanmax(np.abs(np.subtract(*values)))))
    return changed, largest


def main(_) -> int:
    if len(set(_BATCH_SIZES.value)) < 2:
        raise app.UsageError(f"--batch_sizes={','.join(_BATCH_SIZES.value)}: two at least.")
    failures = 0

    def say(what: str, is_right: bool) -> None:
        nonlocal failures
        failures += not is_right
        print(f"{'ok    ' if is_right else 'FAILED'} {what}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        job = Job(folder)
        job.run("whole")  # Fills the cache of the disk.
        start = time.monotonic()
        expected = hash_file(job.run("whole", "--overwrite"))  # Finished, it would not run again.
        seconds = time.monotonic() - start
        print(f"{_ROWS.value + 1} rows, unbroken in {seconds:.1f} s", flush=True)
        killed, parts = kill_again_and_again(job, seconds)
        say(f"killed {len(parts)} times, parts after each: {parts}", hash_file(killed) == expected)
        for count in map(int, _DECODERS.value):
            output = job.run(f"{count} decoders", f"--decoders={count}")
            say(f"{count} decoders", hash_file(output) == expected)
        for count in map(int, _SHARDS.value):
            say(f"{count} shards", hash_file(shards(job, count)) == expected)
        files = [job.run(f"batch {size}", f"--batch_size={size}") for size in _BATCH_SIZES.value]
        labels = Columns(tuple(describe_model(_MODEL.value)["label_names"])).labels
        changed, largest = compare_batches(files, labels)
        sizes = ", ".join(_BATCH_SIZES.value)
        what = f"batches of {sizes}: {changed} decisions differ, probabilities by {largest:.1e}"
        say(what, changed == 0 and largest <= _TOLERANCE)
    return 1 if failures else 0


if __name__ == "__main__":
    app.run(main)
