"""The largest batch whose training steps fit, each size tried in a process of its own."""

import csv
import dataclasses
import io
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import as_arguments
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.child_process import INTERRUPTED, run_child, stopping_as_interrupts
from vac_tf.training.step_memory import available_memory
from vac_tf.tuning.batch_search import largest_fitting
from vac_tf.tuning.output_folder import make_output_folder

_LOGGER = logging.getLogger(__name__)
_TABLE, _RESULT, _LOG, _SPEED = "batch_size.csv", "batch_size.json", "log.txt", "speed.json"
# Of the program that measures a size, see `vac_tf.tuning.speed.OutOfMemoryError`.
_OUT_OF_MEMORY = 4
_KILLED, _ABORTED = -9, -6
_LEFT_FREE = 0.1
_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class LargestBatch:
    """What a search found.

    Attributes:
        sizes: of every size tried, smallest first: `batch_size`, `fits`, and where it does
            `images_per_second` and `peak_memory` (bytes).
        largest: that fits; 0: none.
        limit: what a larger one would exceed.
    """

    sizes: list[dict]
    largest: int
    limit: str


def find_batch_size(
    tuning: TuningConfig, training: TrainConfig, program: Sequence[str]
) -> LargestBatch:
    """Looks for the largest batch; writes `batch_size.csv` and `.json` into the output folder.

    It begins with `training.batch_size`; sizes are multiples of `accumulate_steps`. What a size
    wrote lies in the folder `batch_SIZE`.

    Args:
        tuning: what is looked for.
        training: of which it is looked for.
        program: the command that starts tune.py, without flags.

    Raises:
        ValueError: unusable settings, data or folder, or a size failed for another reason than
            memory.
        KeyboardInterrupt: asked to stop.
    """
    images = len(read_run_splits(training).train)
    unit = training.accumulate_steps
    most = min(tuning.largest_batch, images)
    if most < unit:
        raise ValueError(f"{most} images are fewer than accumulate_steps {unit}: nothing to try.")
    make_output_folder(tuning.output_dir)
    allowed = int(tuning.memory_limit * _GIB) or int((1 - _LEFT_FREE) * available_memory())
    _LOGGER.info("A process may take %.1f GiB of this host's memory.", allowed / _GIB)
    sizes = []

    def fits(size):
        sizes.append({"batch_size": size} | _try(tuning, training, size, allowed, program))
        _LOGGER.info("%s", _line(sizes[-1]))
        return sizes[-1]["fits"]

    with stopping_as_interrupts():
        largest = largest_fitting(fits, training.batch_size, most, unit)
    limit = "the memory"
    if largest == most // unit * unit:
        limit = "--largest_batch" if most < images else f"the {images} training images"
    result = LargestBatch(sorted(sizes, key=lambda each: each["batch_size"]), largest, limit)
    _write(tuning, training, result)
    return result


def _try(tuning, training, size, allowed, program):
    folder = os.path.join(tuning.output_dir, f"batch_{size}")
    make_output_folder(folder)
    speed, log = Path(folder, _SPEED), Path(folder, _LOG)
    speed.unlink(missing_ok=True)
    measuring = TuningConfig(mode="speed", output_dir=folder, speed_steps=tuning.speed_steps)
    sized = dataclasses.replace(training, batch_size=size, run_dir="")
    command = [*program, *as_arguments(measuring), *as_arguments(sized)]
    killed = []

    def is_too_large(process):
        if _resident_memory(process) > allowed:
            killed.append(process)
        return bool(killed)

    with open(log, "wb") as stream:
        exit_code = run_child(command, is_too_large, stdout=stream, stderr=stream)
    if exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    if exit_code == 0:
        measured = json.loads(speed.read_text(encoding="utf-8"))
        return {"fits": True} | {name: measured[name] for name in _MEASURED}
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    is_memory = killed or exit_code in (_OUT_OF_MEMORY, _KILLED)
    if is_memory or (exit_code == _ABORTED and "bad_alloc" in said):
        return {"fits": False} | dict.fromkeys(_MEASURED)
    raise ValueError(
        f"A batch of {size} failed, and not for want of memory (exit code {exit_code}):"
        f" {said.splitlines()[-1] if said else 'it said nothing'} All it wrote: {log}"
    )


_MEASURED = ("images_per_second", "peak_memory")


def _resident_memory(process: int) -> int:
    """Bytes; 0 of a process that has ended."""
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _write(tuning, training, result):
    table = io.StringIO()
    rows = csv.DictWriter(table, result.sizes[0])
    rows.writeheader()
    rows.writerows(result.sizes)
    write_atomically(os.path.join(tuning.output_dir, _TABLE), table.getvalue().encode())
    found = dataclasses.asdict(result) | {"training": dataclasses.asdict(training)}
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(os.path.join(tuning.output_dir, _RESULT), f"{text}\n".encode())


def format_batch_size(result: LargestBatch) -> str:
    """What was found, as lines for the terminal."""
    lines = [_line(each) for each in result.sizes]
    if not result.largest:
        return "\n".join([*lines, "No batch fits: take a smaller --image_size or backbone."])
    fastest = max((s for s in result.sizes if s["fits"]), key=lambda s: s["images_per_second"])
    return "\n".join(
        [
            *lines,
            f"Largest that fits: --batch_size={result.largest}; more would exceed {result.limit}.",
            f"Fastest: --batch_size={fastest['batch_size']}. Another batch size wants another"
            " learning rate: --mode=range_test.",
        ]
    )


def _line(size):
    if not size["fits"]:
        return f"{size['batch_size']:7d}  does not fit"
    return (
        f"{size['batch_size']:7d}  {size['images_per_second']:9.1f} images/s"
        f" {size['peak_memory'] / _GIB:7.2f} GiB"
    )
