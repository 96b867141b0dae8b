"""The worked examples of CONTRIBUTING.md do as they stand what the page says of them."""

import dataclasses
import json
import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.programs.documentation import page
from tests.programs.warm_start import start_warm
from tests.vac_tf.registries import own_names  # noqa: F401  (a fixture)
from vac_tf import datasets
from vac_tf.configs.classification import DATASETS
from vac_tf.datasets import read_split
from vac_tf.datasets.split import DatasetError
from vac_tf.geometry import transforms
from vac_tf.losses import multilabel
from vac_tf.models import build_classifier
from vac_tf.training.consistency_trainer import ConsistencyTrainer

pytestmark = pytest.mark.usefixtures("own_names")


def example(what):
    """The Python block under "How to add a ..."."""
    section = page("CONTRIBUTING.md").split(f"## How to add a {what}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    return block


def imported(what):
    """The names of an example, once its module is imported."""
    names = {"__name__": f"example_of_a_{what}"}
    exec(example(what), names)
    return names


def test_a_backbone():
    imported("backbone")
    outputs = build_classifier("vgg16", 3)(np.zeros((1, 64, 96, 3), "float32"))
    assert outputs["heatmaps"].shape == (1, 2, 3, 3)
    with pytest.raises(ValueError, match="There is a backbone 'vgg16' already"):
        imported("backbone")


def test_a_transform():
    imported("transform")
    (transposition,) = transforms.parse_transforms("transpose")
    images = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")
    for moved in (transposition.images(images), transposition.heatmaps(images)):
        np.testing.assert_array_equal(moved, images.swapaxes(1, 2))
    assert transposition.spec == "transpose" and transposition.valid_mask(4, 4).all()
    assert dataclasses.replace(transposition) == transposition


def test_a_loss():
    hill = imported("loss")["hill_loss"]
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

    images = keras.Input((4, 4, 3))
    outputs = {"heatmaps": images, "logits": keras.layers.GlobalAveragePooling2D()(images)}
    network = keras.Model(images, outputs)
    trainer = ConsistencyTrainer(network, np.full(3, 0.5), loss="hill")
    views = np.broadcast_to(logits[:, None, None], (2, 4, 4, 3))
    terms = trainer.loss_terms(views, labels, training=False)
    expected = np.mean(hill(labels, logits, known))
    assert float(terms["classification_loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_dataset(tmp_path):
    imported("dataset")
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
    assert tuple(datasets._READERS) == tuple(DATASETS)


SMALL_BACKBONE = """
def tiny(input_shape):
    images = keras.Input(input_shape)
    features = keras.layers.Conv2D(8, 16, 16, activation="relu")(images)
    return keras.Model(images, features)


vac_tf.register_backbone("my_tiny", tiny, normalization="torch")
"""


@pytest.mark.slow
def test_a_run_of_registered_names_is_trained_evaluated_and_exported(tmp_path):
    """The four of them in a file that `--import` names."""
    blocks = [example(what) for what in ("transform", "loss", "dataset")]
    (tmp_path / "mine.py").write_text("\n\n".join([*blocks, SMALL_BACKBONE]))
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        rows = {}
        for number in range(8):
            name = f"{split}_{number}.png"
            Image.fromarray(generator.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / name)
            rows[name] = ["cat"] if number % 2 else ["dog"]
        (tmp_path / f"{split}.json").write_text(json.dumps(rows))

    def start(program, *arguments):
        return start_warm(program, *arguments, folder=tmp_path)

    settings = ("--dataset=mine", "--data_dir=.", "--backbone=my_tiny", "--loss=hill", "--epochs=1")
    settings += ("--transforms=transpose", "--image_size=32", "--run_dir=run", "--batch_size=4")
    refused = start("train.py", *settings)
    assert refused.returncode == 2 and "Unknown dataset 'mine'" in refused.stderr
    absent = start("train.py", "--import=absent.py", *settings)
    assert absent.returncode == 2 and "absent.py: there is no such file" in absent.stderr
    trained = start("train.py", "--import=mine", *settings, "--progress_steps=1", "--tensorboard")
    assert trained.returncode == 0, trained.stderr
    # As in a log: a line a step, then that of the epoch; what is asked for stands alone.
    said = [line for line in trained.stderr.splitlines() if line.startswith("Epoch 1/1")]
    assert [line.split(",")[1].strip() for line in said[:2]] == ["step 1/2", "step 2/2"]
    assert len(said) == 3 and json.loads(trained.stdout)["steps"] == 2
    assert sorted(os.listdir(tmp_path / "run" / "tensorboard")) == ["train", "validation"]
    refused = start("evaluate.py", "--run_dir=run")
    assert refused.returncode == 3 and "was trained with --import=mine" in refused.stderr
    for program, arguments in {
        "evaluate.py": ("--run_dir=run",),
        "export_model.py": ("--run_dir=run", "--bundle_dir=bundle"),
    }.items():
        done = start(program, "--import=mine.py", *arguments)
        assert done.returncode == 0, done.stderr
