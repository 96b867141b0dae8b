"""Sanity of our training loop: the same network, trained by plain Keras `fit`.

    python -m experiments.plain_fit --data_dir=DATA/peta

reads the table with Python's csv, decodes and resizes with TensorFlow, compiles the network with
Keras's own binary cross entropy and calls `fit`: nothing of `vac_tf/training` and `vac_tf/inputs`
takes part. Trained are the images of the row `one_view_unweighted` of experiments/study/peta.toml,
with its settings (without the people of `people.csv`, where there is one, that are held out); the
last epoch is evaluated. Prints mAP and mA of the test images as JSON.
"""

import csv
import json
import os

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from vac_tf.datasets import Split
from vac_tf.datasets.group_file import with_groups
from vac_tf.datasets.held_out import hold_out
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models import build_classifier

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with both tables.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the head, the order of the images.")
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Epochs.")
_BACKBONE = flags.DEFINE_string("backbone", "efficientnet_lite0", "Backbone.")
_WEIGHTS = flags.DEFINE_string("backbone_weights", "imagenet", "Its weights.")
_SIZE = flags.DEFINE_integer("image_size", 128, "Side of the inputs in pixels.")
_BATCH = 32
_LEARNING_RATE = 1e-3


def read_table(name: str) -> Split:
    with open(os.path.join(_DATA_DIR.value, f"{name}.csv"), encoding="utf-8") as stream:
        (_, *label_names), *rows = csv.reader(stream)
    paths = [os.path.join(_DATA_DIR.value, path) for path, *_ in rows]
    labels = np.array([row[1:] for row in rows], np.float32)
    return Split(tuple(paths), labels, tuple(label_names), name=name)


def batches(split: Split, shuffled: bool) -> tf.data.Dataset:
    def load(path, labels):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, [_SIZE.value] * 2, antialias=True), labels

    dataset = tf.data.Dataset.from_tensor_slices((list(split.image_paths), split.labels))
    dataset = dataset.map(load, tf.data.AUTOTUNE).cache()
    if shuffled:
        dataset = dataset.shuffle(len(split), seed=_SEED.value)
    return dataset.batch(_BATCH).prefetch(2)


def main(_) -> None:
    keras.utils.set_random_seed(_SEED.value)
    train, people = read_table("train"), os.path.join(_DATA_DIR.value, "people.csv")
    if os.path.exists(people):
        train = with_groups(train, people, "person")
    train, _ = hold_out(train, 0.1, seed=0)
    test = read_table("test")
    network = build_classifier(
        _BACKBONE.value, len(train.label_names), weights=_WEIGHTS.value, dropout=0.0
    )
    model = keras.Model(network.inputs, network.output["logits"])
    data = batches(train, shuffled=True)
    schedule = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, len(data) * _EPOCHS.value)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.0),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    model.fit(data, epochs=_EPOCHS.value, verbose=2)
    logits = model.predict(batches(test, shuffled=False), verbose=0)
    metrics = evaluate_logits(test.labels, logits, test.label_names)["label_based"]
    print(json.dumps({name: metrics[name] for name in ("mAP", "mA")}))


if __name__ == "__main__":
    app.run(main)
