"""FP32, FP16 and INT8 files of one network, alternating in one process on the CPU.

    python -m benchmarks.precision_speed --backbone=resnet50 --image_size=224 --batch_size=8 \\
        --images=photos

times the network alone and, with --images, whole jobs of score.py from files to Parquet.

The weights are random, as they do not change the speed; the accuracy of a trained network is
what the gate of export_model.py reports. Each round runs every precision once, so that other
load on the machine meets all of them; the ratio is the median over the rounds.

Takes about two minutes for a ResNet-50, and two more with --images.
"""

import os
import tempfile
import time

import numpy as np
import onnx
from absl import app
from absl import flags as absl_flags

from benchmarks.photographs import list_photographs

FLAGS = absl_flags.FLAGS
NUM_LABELS = 80


def export_precisions(folder: str, backbone: str, image_size: int) -> dict[str, str]:
    """Path of the file of each precision of a network with random weights."""
    from export.building.conversion.half_precision import to_half_precision
    from export.building.conversion.onnx_writer import write_model, write_onnx
    from export.building.conversion.quantization import quantize
    from export.building.serving_network import InferenceNetwork
    from export.bundle.description import ModelDescription
    from export.bundle.preprocessing import Preprocessing
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
    from export.scoring.runtime.session import NetworkSession

    sessions = {name: NetworkSession(path) for name, path in paths.items()}
    seconds = {name: [] for name in sessions}
    for _ in range(rounds + 2):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(images)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values[2:]) for name, values in seconds.items()}


def time_jobs(paths: dict[str, str], list_file: str, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of `score.py` from files to Parquet, its start left out, by precision."""
    from export.scoring.config import ScoringConfig
    from export.scoring.job import score

    seconds = {name: [] for name in paths}
    for number in range(rounds):
        for name, path in paths.items():
            output = f"{path}.{number}.parquet"
            config = ScoringConfig(path, list_file, output=output, overwrite=True, providers="cpu")
            seconds[name].append(score(config).seconds)
    return {name: np.array(values) for name, values in seconds.items()}


def report(seconds: dict[str, np.ndarray], images: int, what: str) -> None:
    """Prints a line per precision."""
    for name, values in seconds.items():
        ratio = np.median(seconds["fp32"] / values)
        print(
            f"{what}, {name}: {np.median(values) * 1e3 / images:.2f} ms per image,"
            f" {ratio:.2f} times fp32",
            flush=True,
        )


def main(_) -> None:
    images = random_images(FLAGS.batch_size, FLAGS.image_size)
    with tempfile.TemporaryDirectory() as folder:
        paths = export_precisions(folder, FLAGS.backbone, FLAGS.image_size)
        for name, path in paths.items():
            print(f"{name}: {os.path.getsize(path) / 2**20:.1f} MiB")
        report(time_rounds(paths, images, FLAGS.rounds), len(images), "network alone")
        if FLAGS.images:
            list_file = os.path.join(folder, "photographs.txt")
            count = len(list_photographs(FLAGS.images, FLAGS.count, list_file))
            time_jobs(paths, list_file, 1)  # Fills the cache of the disk.
            jobs = time_jobs(paths, list_file, FLAGS.job_rounds)
            report(jobs, count, "from files to Parquet")


if __name__ == "__main__":
    absl_flags.DEFINE_string("backbone", "resnet50", "Backbone of the network.")
    absl_flags.DEFINE_integer("image_size", 224, "Height and width of the images in pixels.")
    absl_flags.DEFINE_integer("batch_size", 8, "Images per call of the network.")
    absl_flags.DEFINE_integer("rounds", 20, "Calls of each precision that are timed.")
    absl_flags.DEFINE_string("images", "", "Folder of photographs for whole jobs; empty: none.")
    absl_flags.DEFINE_integer("count", 128, "Images of each job; photographs are repeated.")
    absl_flags.DEFINE_integer("job_rounds", 3, "Jobs of each precision that are timed.")
    app.run(main)
