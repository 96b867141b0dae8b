"""Inference of FP32, FP16 and INT8 files of one network, alternating in one process on the CPU.

    python -m benchmarks.precision_speed --backbone=resnet50 --image_size=224 --batch_size=8

The weights are random, as they do not change the speed; the accuracy of a trained network is
what the gate of export_model.py reports. Each round runs every precision once, so that other
load on the machine meets all of them; the ratio is the median over the rounds.

Takes about two minutes for a ResNet-50.
"""

import os
import tempfile
import time

import numpy as np
import onnx
from absl import app
from absl import flags as absl_flags

FLAGS = absl_flags.FLAGS
NUM_LABELS = 80


def export_precisions(folder: str, backbone: str, image_size: int) -> dict[str, str]:
    """Path of the file of each precision of a network with random weights."""
    from export.bundle import ModelDescription
    from export.half_precision import to_half_precision
    from export.inference import InferenceNetwork
    from export.onnx_writer import write_model, write_onnx
    from export.preprocessing import Preprocessing
    from export.quantization import quantize
    from vac_tf.models import build_classifier

    preprocessing = Preprocessing(image_size, image_size)
    names = tuple(f"label {index}" for index in range(NUM_LABELS))
    description = ModelDescription(names, (0.5,) * NUM_LABELS, preprocessing)
    network = InferenceNetwork(build_classifier(backbone, NUM_LABELS), preprocessing)
    paths = {name: os.path.join(folder, f"{name}.onnx") for name in ("fp32", "fp16", "int8")}
    write_onnx(paths["fp32"], network, description, opset=18)
    original = onnx.load(paths["fp32"])
    write_model(paths["fp16"], to_half_precision(original), description)
    calibration = [random_images(4, image_size, seed) for seed in range(2)]
    write_model(paths["int8"], quantize(original, calibration, "minmax"), description)
    return paths


def random_images(count: int, size: int, seed: int = 0) -> np.ndarray:
    """float32 `[count, size, size, 3]` in 0..255."""
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def time_rounds(paths: dict[str, str], images: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each round by precision; two rounds before them warm up."""
    from export.session import NetworkSession

    sessions = {name: NetworkSession(path) for name, path in paths.items()}
    seconds = {name: [] for name in sessions}
    for _ in range(rounds + 2):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(images)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values[2:]) for name, values in seconds.items()}


def main(_) -> None:
    images = random_images(FLAGS.batch_size, FLAGS.image_size)
    with tempfile.TemporaryDirectory() as folder:
        paths = export_precisions(folder, FLAGS.backbone, FLAGS.image_size)
        seconds = time_rounds(paths, images, FLAGS.rounds)
        for name, values in seconds.items():
            ratio = np.median(seconds["fp32"] / values)
            print(
                f"{name}: {np.median(values) * 1e3 / len(images):.2f} ms per image,"
                f" {ratio:.2f} times fp32, {os.path.getsize(paths[name]) / 2**20:.1f} MiB"
            )


if __name__ == "__main__":
    absl_flags.DEFINE_string("backbone", "resnet50", "Backbone of the network.")
    absl_flags.DEFINE_integer("image_size", 224, "Height and width of the images in pixels.")
    absl_flags.DEFINE_integer("batch_size", 8, "Images per call of the network.")
    absl_flags.DEFINE_integer("rounds", 20, "Calls of each precision that are timed.")
    app.run(main)
