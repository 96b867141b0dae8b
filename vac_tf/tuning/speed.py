"""How fast the steps of a training go at its batch size, and what memory they take."""

import dataclasses
import json
import os
import resource
import time

import keras
import tensorflow as tf

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.training.step_memory import StepTooLargeError
from vac_tf.tuning.output_folder import make_output_folder
from vac_tf.tuning.training_steps import take_steps

SPEED_FILE = "speed.json"
# The first step is traced, the second may still make what the others reuse.
_WARM_UP = 2


class OutOfMemoryError(Exception):
    """The steps do not fit into the memory."""

    exit_code = 4


def measure_speed(tuning: TuningConfig, training: TrainConfig) -> dict:
    """Takes `speed_steps` steps of a training, after two to warm up; writes `speed.json`.

    Returns:
        Its contents: `batch_size`, `images_per_second` (views of an image are one image),
        `seconds_per_step`, `peak_memory` in bytes, of the GPU where there is one, else of the
        process, and `device`.

    Raises:
        OutOfMemoryError: as far as the device says so; a process may also be killed.
        ValueError: unusable settings, data or folder.
    """
    make_output_folder(tuning.output_dir)
    steps = _Clock()
    training = dataclasses.replace(training, drop_remainder=True)  # Only whole batches count.
    try:
        take_steps(training, _WARM_UP + tuning.speed_steps, lambda trainer: [steps])
    except (tf.errors.ResourceExhaustedError, MemoryError, StepTooLargeError) as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else "no memory"
        raise OutOfMemoryError(
            f"A step of {training.batch_size} images does not fit into the memory: {reason}"
        ) from error
    seconds = (steps.ends[-1] - steps.ends[_WARM_UP - 1]) / tuning.speed_steps
    device, memory = _peak_memory()
    measured = {
        "batch_size": training.batch_size,
        "images_per_second": training.batch_size / seconds,
        "seconds_per_step": seconds,
        "peak_memory": memory,
        "device": device,
    }
    text = json.dumps(measured, indent=2, allow_nan=False)
    write_atomically(os.path.join(tuning.output_dir, SPEED_FILE), f"{text}\n".encode())
    return measured


class _Clock(keras.callbacks.Callback):
    """Notes when steps end: Keras has read their loss by then, so that the device is done."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())


def _peak_memory():
    if tf.config.list_physical_devices("GPU"):
        return "GPU", int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return "CPU", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def format_speed(measured: dict) -> str:
    """What was measured, as a line for the terminal."""
    return (
        f"batch of {measured['batch_size']}: {measured['images_per_second']:.1f} images/s,"
        f" {measured['seconds_per_step']:.3g} s a step, peak memory"
        f" {measured['peak_memory'] / 2**30:.2f} GiB ({measured['device']})"
    )
