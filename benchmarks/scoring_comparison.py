"""Three ways to score the same files with the same network on the same cores.

    python -m benchmarks.scoring_comparison --images=photos --work_dir=/tmp/benchmark

* `score.py`, from files to Parquet;
* the loop that people write: Pillow, `session.run` on batches of 32, a CSV file;
* `network.predict` of Keras over tf.data, with the decoding and resizing of training.

They take turns, each round from another one on; the start of each (opening files, tracing) is left
out. Prints a table of medians, and how far each way's pixels are from those of training. The first
call exports the network (ResNet-50, about a minute); then about three minutes on two cores of 2026.
"""

import csv
import dataclasses
import os
import time
from collections.abc import Callable

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from absl import app, flags
from PIL import Image

from benchmarks.exported_network import export_network
from benchmarks.photographs import list_photographs
from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.sources.image_file import load_input
from export.scoring.sources.input import ScoringInput
from vac_tf.geometry.resizing import resize_images
from vac_tf.inputs.decoding import decode_image
from vac_tf.models.saving import load_network

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Keeps the exported network.", required=True)
_BACKBONE = flags.DEFINE_string("backbone", "resnet50", "Backbone of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of its input.")
_COUNT = flags.DEFINE_integer("count", 256, "Images of a round; photographs are repeated.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each way.")
_BATCH_SIZE = 32
_PIXELS_COMPARED = 32


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to score: its name, what loads one image, and what scores all and takes seconds."""

    name: str
    load: Callable[[str], np.ndarray]
    run: Callable[[], float]


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def our_scorer(model: str, list_file: str, output: str, size: int) -> Way:
    """`score.py` with its default flags."""
    config = ScoringConfig(model, list_file, output=output, overwrite=True, providers="cpu")
    preprocessing = Preprocessing(size, size)
    return Way(
        "`score.py`",
        lambda path: load_input(ScoringInput(path, path), preprocessing),
        lambda: score(config).seconds,
    )


def plain_loop(model: str, paths: list[str], output: str, size: int) -> Way:
    """What people write first."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def load(path: str) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB").resize((size, size)), np.float32)

    def run() -> None:
        with open(output, "w", newline="") as file:
            writer = csv.writer(file)
            for row in range(0, len(paths), _BATCH_SIZE):
                batch = paths[row : row + _BATCH_SIZE]
                images = np.stack([load(path) for path in batch])
                (probabilities,) = session.run(["probabilities"], {"images": images})
                writer.writerows([p, *v] for p, v in zip(batch, probabilities, strict=True))

    return Way("plain loop: Pillow, `session.run`", load, lambda: timed(run))


def keras_predict(network_file: str, paths: list[str], size: int) -> Way:
    """Keras over tf.data, compiled once before the clock starts."""
    network = load_network(network_file)
    largest = Image.MAX_IMAGE_PIXELS

    def load(path):
        return resize_images(decode_image(tf.io.read_file(path), path, largest), size)

    def images(some: list[str]) -> tf.data.Dataset:
        files = tf.data.Dataset.from_tensor_slices(some)
        loaded = files.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)

    def run(some: list[str] = paths) -> None:
        keras.ops.sigmoid(network.predict(images(some), verbose=0)["logits"])

    run(paths[:_BATCH_SIZE])
    return Way("Keras `predict` over tf.data", lambda p: load(p).numpy(), lambda: timed(run))


def pixel_differences(way: Way, reference: Way, paths: list[str]) -> tuple[float, float]:
    """Mean and largest difference of the network's input, in grey levels."""
    pairs = ((way.load(path), reference.load(path)) for path in paths)
    differences = np.stack([np.abs(mine - other) for mine, other in pairs])
    return differences.mean(), differences.max()


def main(_) -> None:
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    size = _IMAGE_SIZE.value
    model, network = export_network(_WORK_DIR.value, _BACKBONE.value, size)
    list_file, output, plain_output = (
        os.path.join(_WORK_DIR.value, name)
        for name in ("photographs.txt", "scores.parquet", "plain.csv")
    )
    paths = list_photographs(_IMAGES.value, _COUNT.value, list_file)
    ways = [
        our_scorer(model, list_file, output, size),
        plain_loop(model, paths, plain_output, size),
        keras_predict(network, paths, size),
    ]
    seconds = {way.name: [] for way in ways}
    for turn in range(_ROUNDS.value):
        first = turn % len(ways)  # What ran before can slow what comes next.
        for way in ways[first:] + ways[:first]:
            seconds[way.name].append(way.run())
    print("| | images/s | of `score.py` | pixels off training, mean / largest |")
    print("|---|---|---|---|")
    ours = np.median(seconds[ways[0].name])
    for way in ways:
        median = np.median(seconds[way.name])
        mean, largest = pixel_differences(way, ways[-1], paths[:_PIXELS_COMPARED])
        print(
            f"| {way.name} | {_COUNT.value / median:.1f} | {ours / median:.2f} |"
            f" {mean:.3f} / {largest:.2f} |"
        )


if __name__ == "__main__":
    app.run(main)
