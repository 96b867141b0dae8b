"""What whole programs cost on more and more images, from their start to their end."""

import csv
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
_PICTURES = 64
_LABELS = ("red", "green", "blue")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a program took.

    Attributes:
        images: That it was given.
        seconds: By the clock.
        processor_seconds: Of all its threads, and of the processes that it waited for.
    """

    images: int
    seconds: float
    processor_seconds: float


def run_program(images: int, *command: str) -> Cost:
    """Runs a program of the repository.

    Raises:
        RuntimeError: when it fails, with what it printed.
    """
    with tempfile.TemporaryFile("w+") as printed:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, stdout=printed, stderr=printed
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            said = printed.read()[-3000:]
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said}")
    return Cost(images, seconds, usage.ru_utime + usage.ru_stime)


def write_table(folder: Path, count: int, width: int, height: int) -> None:
    """A table of `count` training and `count` test images of some drawn JPEG files.

    The files are links to 64 pictures, so that a table of any length takes no room.
    """
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    colours = []
    for number in range(_PICTURES):
        small = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.jpg", quality=90)
        colours.append([int(value) for value in small.mean(axis=(0, 1)) > 127.5])
    for split in ("train", "test"):
        (folder / split).mkdir()
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["image", *_LABELS])
            for row in range(count):
                name = f"{split}/{row}.jpg"
                os.link(folder / f"{row % _PICTURES}.jpg", folder / name)
                rows.writerow([name, *colours[row % _PICTURES]])


def measure(
    counts: Sequence[int],
    rounds: int,
    programs: Collection[str],
    folder: Path,
    picture: tuple[int, int],
    backbone: str,
    image_size: int,
) -> dict[str, list[Cost]]:
    """Costs of one epoch of `train.py`, of `evaluate.py` and of `score.py`, by program.

    Args:
        counts: Images that each is given, one after the other.
        rounds: How often all counts are gone through.
        programs: Which of the three are given more and more; a first short training is always
            there.
        folder: Where tables, runs and scores are written; what is there of them is an error.
        picture: Width and height of the JPEG files in pixels.
        backbone: Of the network.
        image_size: Height and width of its input.
    """
    costs: dict[str, list[Cost]] = {program: [] for program in programs}
    network = [f"--backbone={backbone}", f"--image_size={image_size}", "--epochs=1"]

    def train(count: int, table: Path, run: Path) -> Cost:
        data = ["--dataset=table", f"--data_dir={table}", "--validation_fraction=0.1"]
        flags = [*data, *network, f"--run_dir={run}", "--transforms=hflip"]
        return run_program(count, "train.py", *flags)

    first, model = folder / "first_run", folder / "bundle" / "model.onnx"
    write_table(folder / "first", _PICTURES, *picture)
    train(_PICTURES, folder / "first", first)
    run_program(0, "export_model.py", f"--run_dir={first}", f"--bundle_dir={model.parent}")
    for count in counts:
        write_table(folder / f"table_{count}", count, *picture)
    for turn, count in itertools.product(range(rounds), counts):
        table, name = folder / f"table_{count}", f"{count}_{turn}"
        if "train.py" in costs:
            costs["train.py"].append(train(count, table, folder / f"run_{name}"))
        if "evaluate.py" in costs:
            evaluation = [f"--run_dir={first}", f"--data_dir={table}", "--split=test"]
            costs["evaluate.py"].append(run_program(count, "evaluate.py", *evaluation))
        if "score.py" in costs:
            output = folder / f"scores_{name}.parquet"
            scoring = [f"--model={model}", f"--images={table / 'test'}", f"--output={output}"]
            # With one, images are decoded by threads: nobody waits for the processes of several.
            scoring += ["--providers=cpu", "--decoders=1"]
            costs["score.py"].append(run_program(count, "score.py", *scoring))
        for program, found in costs.items():
            print(f"{program}: {found[-1]}", flush=True)
    return costs
