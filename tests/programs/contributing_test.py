"""The worked examples of CONTRIBUTING.md do as they stand what the page says of them."""

import dataclasses
import json
import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.programs.documentation import page
from vac_tf import datasets
from vac_tf.configs.classification import DATASETS
from vac_tf.datasets import read_split
from vac_tf.datasets.readers import wider
from vac_tf.datasets.split import DatasetError
from vac_tf.geometry import transforms
from vac_tf.losses import asymmetric, multilabel
from vac_tf.models import backbones, build_classifier
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.step import classification_loss


def examples(what):
    """The Python blocks under "How to add a ..."."""
    section = page("CONTRIBUTING.md").split(f"## How to add a {what}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


def written_into(module, code):
    """What a definition is once it stands in a module."""
    names = dict(vars(module))
    exec(code, names)
    return names


def add_line(monkeypatch, registry, line, names):
    """Adds the line of an example to a registry; what is registered."""
    ((key, value),) = eval(f"{{{line}}}", names).items()
    monkeypatch.setitem(registry, key, value)
    return value


def test_a_backbone(monkeypatch):
    (line,) = examples("backbone")
    add_line(monkeypatch, backbones.BACKBONES, line, dict(vars(backbones)))
    outputs = build_classifier("vgg16", 3)(np.zeros((1, 64, 96, 3), "float32"))
    assert outputs["heatmaps"].shape == (1, 2, 3, 3)


def test_a_transform(monkeypatch):
    definition, line = examples("transform")
    names = written_into(transforms, definition)
    add_line(monkeypatch, transforms._TRANSFORMS, line, names)
    (flip,) = transforms.parse_transforms("vflip")
    images = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")
    for moved in (flip.images(images), flip.heatmaps(images)):
        np.testing.assert_array_equal(moved, images[:, ::-1])
    assert flip.spec == "vflip" and flip.valid_mask(4, 4).all()
    assert dataclasses.replace(flip) == flip


def test_a_loss(monkeypatch):
    definition, line = examples("loss")
    hill = written_into(asymmetric, definition)["hill_loss"]
    logits = np.array([[-1e4, 1e4, 0.3], [1e4, -1e4, -2.0]], "float32")
    labels = np.array([[1, 1, 0], [1, 0, np.nan]], "float32")
    known = ~np.isnan(labels)
    positives = np.ones_like(labels)
    np.testing.assert_allclose(
        hill(positives, logits), multilabel.sigmoid_cross_entropy(positives, logits), rtol=1e-6
    )
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(hill(labels, variable, known))
    gradient = tape.gradient(loss, variable).numpy()
    assert np.isfinite(gradient).all() and gradient[1, 2] == 0.0 and gradient[0, 0] < 0.0

    names = dict(vars(classification_loss)) | {"hill_loss": hill}
    add_line(monkeypatch, classification_loss.LOSSES, line, names)
    images = keras.Input((4, 4, 3))
    outputs = {"heatmaps": images, "logits": keras.layers.GlobalAveragePooling2D()(images)}
    network = keras.Model(images, outputs)
    trainer = ConsistencyTrainer(network, np.full(3, 0.5), loss="hill")
    views = np.broadcast_to(logits[:, None, None], (2, 4, 4, 3))
    terms = trainer.loss_terms(views, labels, training=False)
    expected = np.mean(hill(labels, logits, known))
    assert float(terms["classification_loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_dataset(monkeypatch, tmp_path):
    definition, line = examples("dataset")
    names = written_into(wider, f"import os\n{definition}")
    add_line(monkeypatch, datasets._READERS, line, names)
    (tmp_path / "a.jpg").write_bytes(b"")
    rows = {"a.jpg": ["cat"], "b.jpg": [], "c.jpg": ["cow"]}
    (tmp_path / "train.json").write_text(json.dumps(rows))
    rejected = []
    split = read_split("mine", tmp_path, "train", rejected=rejected, seed=3)
    assert split.image_paths == (os.path.join(tmp_path, "a.jpg"),)
    assert split.labels.tolist() == [[1, 0]]
    assert [row.line for row in rejected] == ["b.jpg", "c.jpg"]
    with pytest.raises(DatasetError, match="train.json, b.jpg: image file .*b.jpg is missing"):
        read_split("mine", tmp_path, "train")
    with pytest.raises(DatasetError, match="Unknown split 'test'"):
        read_split("mine", tmp_path, "test")


def test_every_reader_is_a_choice_of_the_flag_and_the_reverse():
    assert tuple(datasets._READERS) == DATASETS
