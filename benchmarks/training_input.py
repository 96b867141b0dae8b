"""What do the images of a training epoch cost, from files and from each cache?

    python -m benchmarks.training_input --images=photos --work_dir=work

First the CPU time per image of each step of the way, alone on one thread. Then whole epochs through
the pipeline of `train.py`, nothing trained, the caches in turn: images per second, CPU time per
image, the cores that it kept busy, and the time to fill the cache. With --scaled_size photographs
are resized a second time, as --scaled_view=photograph does. About two minutes on two cores. What
augmentation costs: --ways="memory inputs" --augment_layers=colour:0.4 --augment_layers=mixup:0.2.
"""

import os
import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from PIL import Image

from benchmarks.photographs import list_photographs
from vac_tf.datasets import Split
from vac_tf.geometry.resizing import resize_images
from vac_tf.geometry.transforms import Scaling
from vac_tf.inputs.augmentation.specification import parse_layers
from vac_tf.inputs.decoding import decode_image
from vac_tf.inputs.image_cache import ImageCache
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder of the disk cache.", required=True)
_COUNT = flags.DEFINE_integer("count", 512, "Images of an epoch; the folder's, again and again.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of the inputs in pixels.")
_SCALED_SIZE = flags.DEFINE_integer("scaled_size", 0, "Those of a second view; 0: none.")
_BOX_SHARE = flags.DEFINE_float(
    "box_share", 0.0, "Cut a box of this share of each side out of the middle; 0: none."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images of a batch.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Epochs from each cache; the medians are printed.")
_WAYS = flags.DEFINE_multi_string(
    "ways",
    ["none", "memory", "disk", "memory inputs", "disk inputs", "disk rounded"],
    "--cache, and what it keeps: photographs, inputs, or rounded inputs; repeat the flag.",
)
_AUGMENT_LAYERS = flags.DEFINE_multi_string(
    "augment_layers", [], "Each way again with these layers, see train.py; repeat the flag."
)


def step_milliseconds(paths: list[str], sizes: tuple[int, ...]) -> dict[str, float]:
    """CPU milliseconds per image of each step alone: the best of two turns over the files."""
    path, pixels = tf.TensorSpec((), tf.string), tf.TensorSpec((None, None, 3), tf.uint8)
    read = tf.function(tf.io.read_file, input_signature=[path])
    decode = tf.function(
        lambda data: decode_image(data, "", ImageSettings.max_pixels), input_signature=[path]
    )
    files = [tf.constant(each) for each in paths]
    contents = [read(file) for file in files]
    pictures = [decode(data) for data in contents]
    found = {"read": _milliseconds(read, files), "decode": _milliseconds(decode, contents)}
    for size in sizes:
        resize = tf.function(
            lambda picture, size=size: resize_images(picture, size), input_signature=[pixels]
        )
        found[f"resize to {size}"] = _milliseconds(resize, pictures)
    return found


def _milliseconds(function, values):
    turns = []
    function(values[0])  # Traced.
    for _ in range(2):
        start = time.process_time()
        for value in values:
            function(value)
        turns.append(time.process_time() - start)
    return 1e3 * min(turns) / len(values)


def make_split(paths: list[str], box_share: float) -> Split:
    """The photographs, with one label and perhaps a box each."""
    boxes = None
    if box_share:
        sides = np.array([Image.open(path).size for path in paths], "float64")
        boxes = np.concatenate([sides * (1 - box_share) / 2, sides * box_share], axis=1)
    labels = np.zeros((len(paths), 1), "float32")
    return Split(tuple(paths), labels, ("label",), boxes, name="photographs")


def make_batches(
    way: str, split: Split, sizes: tuple[int, ...], layers: str
) -> tuple[TrainingBatches, float]:
    """The pipeline of one way of caching, and the seconds that filling its cache took."""
    kind, _, content = way.partition(" ")
    folder = os.path.join(_WORK_DIR.value, "image_cache")
    cache = ImageCache(kind, folder, "inputs" if content else "photographs", sizes)
    start = time.monotonic()
    source = ImageSource(split, ImageSettings(sizes[0]), cache, content == "rounded")
    seconds = time.monotonic() - start
    views = tuple(Scaling(size) for size in sizes[1:])
    augmentation = Augmentation(layers=parse_layers(layers))
    return TrainingBatches(
        source, split.labels, _BATCH_SIZE.value, 0, augmentation, scaled_views=views
    ), seconds


def one_epoch(batches: TrainingBatches, epoch: int) -> tuple[float, float]:
    """Seconds, and seconds of the processor."""
    start = time.monotonic(), time.process_time()
    for _ in batches.epoch(epoch):
        pass
    return time.monotonic() - start[0], time.process_time() - start[1]


def main(_) -> None:
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    list_file = os.path.join(_WORK_DIR.value, "images.txt")
    paths = list_photographs(_IMAGES.value, _COUNT.value, list_file)
    sizes = (_IMAGE_SIZE.value, *((_SCALED_SIZE.value,) if _SCALED_SIZE.value else ()))
    distinct = list(dict.fromkeys(paths))[:128]
    steps = step_milliseconds(distinct, sizes)
    print("CPU ms per image: " + ", ".join(f"{name} {ms:.2f}" for name, ms in steps.items()))

    split = make_split(paths, _BOX_SHARE.value)
    made = {
        " and ".join(filter(None, (way, layers))): make_batches(way, split, sizes, layers)
        for way in _WAYS.value
        for layers in ("", *_AUGMENT_LAYERS.value)
    }
    rounds = {way: [] for way in made}
    for epoch in range(_ROUNDS.value + 1):  # The first one is left out.
        for way, (batches, _) in made.items():
            rounds[way].append(one_epoch(batches, epoch))
    print("| cache | images/s | CPU ms per image | cores busy | filled in |")
    print("|---|---|---|---|---|")
    for way, (_, fill_seconds) in made.items():
        seconds, processor = np.median(rounds[way][1:], axis=0)
        print(
            f"| {way} | {len(paths) / seconds:.0f} | {1e3 * processor / len(paths):.2f} |"
            f" {processor / seconds:.2f} | {fill_seconds:.1f} s |"
        )


if __name__ == "__main__":
    app.run(main)
