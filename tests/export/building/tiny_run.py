"""A run that exports in seconds: a small network, and photographs of three labels."""

import csv
import dataclasses

import keras
import numpy as np
from PIL import Image

from tests.export.encoded_images import photo
from vac_tf.configs.classification import TrainConfig
from vac_tf.models.cam_head import CAMHead
from vac_tf.models.saving import save_network
from vac_tf.runs.folder import RunFolder

SIZE = 32
LABELS = ("cat", "dog", "bird")


def tiny_network(seed=0, dtype="float32"):
    """One convolution before the head, for images of any size: exports in a second."""
    images = keras.Input((None, None, 3), name="images")
    features = keras.layers.Rescaling(1 / 64, offset=-2, dtype="float32")(images)
    kernel = keras.initializers.GlorotUniform(seed)
    features = keras.layers.Conv2D(4, 16, strides=16, kernel_initializer=kernel, dtype=dtype)(
        features
    )
    features = keras.layers.BatchNormalization(dtype=dtype)(features)
    features = keras.layers.Activation("relu", dtype=dtype)(features)
    head = CAMHead(len(LABELS), name="cam_head")
    return spread_predictions(keras.Model(images, head(features)), seed)


def spread_predictions(network, seed=0):
    """Gives an untrained network logits on both sides of 0 that differ between images."""
    generator = np.random.default_rng(seed)
    head = network.get_layer("cam_head")
    head.kernel.assign(generator.normal(size=head.kernel.shape) * 2)
    head.bias.assign(generator.normal(size=head.bias.shape) * 0.1)
    return network


def write_table(folder, images=11, boxes=False):
    """A table dataset of photographs of several sizes, formats and colour modes."""
    folder.mkdir(parents=True)
    for split in ("train", "val"):
        with open(folder / f"{split}.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["image", *LABELS, *("xywh" if boxes else "")])
            for number in range(images):
                name = f"{split}_{number}.{('jpg', 'png', 'bmp')[number % 3]}"
                image = Image.fromarray(photo(40 + 7 * number, 90 - 5 * number, seed=number))
                image.convert("L" if number == 4 else "RGB").save(folder / name)
                labels = [int(number % 3 == label) for label in range(3)]
                rows.writerow([name, *labels, *((-3, 4.5, 20, 30) if boxes else ())])


def write_run(folder, data_dir, network=None, **changes):
    """A run folder as training leaves it, of a table dataset and a network."""
    values = {
        "dataset": "table",
        "data_dir": str(data_dir),
        "image_size": SIZE,
        "backbone": "small",
    }
    config = TrainConfig(run_dir=str(folder), **(values | changes))
    folder.mkdir()
    run = RunFolder(str(folder))
    run.write_json("config.json", dataclasses.asdict(config))
    run.write_json("labels.json", {"label_names": list(LABELS), "positive_ratio": [0.3] * 3})
    save_network(network or tiny_network(), run.network_file)
    return run
