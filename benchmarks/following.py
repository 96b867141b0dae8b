"""What does following a run cost: a step its progress line and its curves, an epoch its pictures?

    python -m benchmarks.following

Trains a small network with each callback timed by itself, in CPU time of the thread that trains, so
that other work on the machine does not count; then writes what TensorBoard gets after an epoch. A
minute on two cores.
"""

import glob
import os
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from vac_tf.configs.classification import TrainConfig
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.inputs.data_wait import DataWait
from vac_tf.models import build_classifier
from vac_tf.runs.folder import RunFolder
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.following.follower import Follower, opened_board
from vac_tf.training.following.heatmap_pictures import choose_examples, write_pictures
from vac_tf.training.following.precision_recall import write_curves
from vac_tf.training.step.compiling import compile_trainer

_BACKBONE = flags.DEFINE_string("backbone", "small", "Of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 32, "Height and width of the images in pixels.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images of a step.")
_LABELS = flags.DEFINE_integer("labels", 80, "Labels.")
_STEPS = flags.DEFINE_integer("steps", 100, "Steps of an epoch.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Epochs; the medians are printed.")
_VALIDATION = flags.DEFINE_integer("validation_images", 40000, "Whose curves are written.")


class Timed(keras.callbacks.Callback):
    """Passes on what happens to another callback, and adds up the CPU time that it takes."""

    def __init__(self, callback):
        super().__init__()
        self.seconds = 0.0
        self._callback = callback

    def set_model(self, model):
        super().set_model(model)
        self._callback.set_model(model)

    def on_epoch_begin(self, epoch, logs=None):
        self._callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._callback.on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        start = time.thread_time()
        self._callback.on_train_batch_end(batch, logs)
        self.seconds += time.thread_time() - start


def small_run(folder):
    """Config, compiled trainer and batches of an epoch."""
    config = TrainConfig(
        run_dir=folder, tensorboard=True, transforms="hflip", backbone=_BACKBONE.value
    )
    network = build_classifier(_BACKBONE.value, _LABELS.value)
    ratio = np.full(_LABELS.value, 0.5)
    trainer = ConsistencyTrainer(network, ratio, parse_transforms("hflip", "bilinear"))
    compile_trainer(config, trainer, _STEPS.value)
    size = _IMAGE_SIZE.value
    images = np.zeros((_BATCH_SIZE.value, size, size, 3), "float32")
    labels = np.zeros((_BATCH_SIZE.value, _LABELS.value), "float32")
    return config, trainer, tf.data.Dataset.from_tensors((images, labels)).repeat(_STEPS.value)


def microseconds_a_step(config, trainer, batches, board) -> dict[str, float]:
    """CPU time of each callback, and the time on the clock of the whole step."""
    steps, data_wait = _STEPS.value, DataWait()
    progress = {"epoch": 0, "step": 0, "history": []}
    _, followers = Follower(config, board).callbacks(trainer, progress, steps, data_wait)
    timed = [Timed(each) for each in (data_wait, *followers)]
    start = time.monotonic()
    trainer.fit(data_wait.timed(batches), callbacks=timed, shuffle=False, verbose=0)
    names = [type(each).__name__ for each in (data_wait, *followers)]
    found = {name: 1e6 * each.seconds / steps for name, each in zip(names, timed, strict=True)}
    return found | {"whole step": 1e6 * (time.monotonic() - start) / steps}


def seconds_of_an_epoch(trainer, board) -> dict[str, float]:
    """CPU time of what is written after an epoch, and its bytes."""
    generator, size = np.random.default_rng(0), _IMAGE_SIZE.value
    shape = (_VALIDATION.value, _LABELS.value)
    labels = (generator.random(shape) < 0.05).astype("float32")
    probabilities = generator.random(shape, "float32")
    names = [f"label {number}" for number in range(_LABELS.value)]
    examples = choose_examples(labels, 6)
    images = generator.uniform(0, 255, (len(examples), size, size, 3)).astype("float32")
    parts = {
        "precision-recall curves": lambda: write_curves(labels, probabilities, names),
        "pictures": lambda: write_pictures(trainer.network, images, examples, names),
    }
    found = {}
    with board.validation("raw", 1):
        parts["pictures"]()  # Its graph is made once a run.
        for name, write in parts.items():
            start, before = time.process_time(), _bytes(board)
            write()
            found[name] = time.process_time() - start, _bytes(board) - before
    return found


def _bytes(board):
    board.flush()
    return sum(map(os.path.getsize, glob.glob(os.path.join(board.path, "*", "*"))))


def main(_):
    with tempfile.TemporaryDirectory() as folder:
        config, trainer, batches = small_run(folder)
        with opened_board(config, RunFolder(folder), trainer, _STEPS.value) as board:
            rounds = [
                microseconds_a_step(config, trainer, batches, board)
                for _ in range(_ROUNDS.value + 1)  # The first one, which is traced, is left out.
            ]
            epoch = seconds_of_an_epoch(trainer, board)
    print("| of a step | microseconds |")
    print("|---|---|")
    for name in rounds[0]:
        print(f"| {name} | {np.median([each[name] for each in rounds[1:]]):.0f} |")
    print()
    print("| of an epoch | CPU seconds | MB |")
    print("|---|---|---|")
    for name, (seconds, size) in epoch.items():
        print(f"| {name} | {seconds:.2f} | {size / 1e6:.2f} |")


if __name__ == "__main__":
    app.run(main)
