"""`vac_tf.evaluate`: what evaluate.py measures, of any model on any data."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import vac_tf
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule
from vac_tf.evaluation.classification import evaluate as evaluate_run
from vac_tf.inputs.image_source import ImageSource

GROUPS = ("label_based", "top3", "top3_thresholded", "example_based", "inconsistency")


@pytest.fixture(scope="module")
def model(finished_run):
    return vac_tf.load(finished_run.run_dir)


@pytest.fixture(scope="module")
def split(finished_run):
    return read_run_split(finished_run, "test")


@pytest.fixture(scope="module")
def results(model, split):
    return vac_tf.evaluate(model, split)


def two_outputs(size=None):
    """A network of somebody else: a pair of outputs, stride 8."""
    images = keras.Input((size, size, 3))
    features = keras.layers.Conv2D(4, 8, strides=8)(keras.layers.Rescaling(1 / 255)(images))
    maps = keras.layers.Conv2D(2, 1)(features)
    return keras.Model(images, [maps, keras.layers.GlobalAveragePooling2D()(maps)])


def batches(count=5, size=32):
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (count, size, size, 3)).astype(np.float32)
    labels = (np.arange(2 * count).reshape(count, 2) % 3 == 0).astype(np.float32)
    return images, labels


def test_it_measures_what_the_program_measures(results, finished_run, tmp_path):
    run_dir = shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))
    expected = evaluate_run(EvaluationConfig(run_dir=run_dir))
    for group in GROUPS:
        assert results[group] == expected[group]
    assert results["per_label"] == expected["per_label"]
    assert results["conventions"].items() <= expected["conventions"].items()


def test_batches_give_what_their_split_gives(model, split, results):
    source = ImageSource(split, model.settings)
    images = np.stack([source.resized(index).numpy() for index in range(len(split))])
    dataset = tf.data.Dataset.from_tensor_slices((images, split.labels)).batch(5)
    pairs = [(images[:7], split.labels[:7]), (images[7:], split.labels[7:].astype(bool))]
    for data in (dataset, pairs):
        found = vac_tf.evaluate(model, data)
        assert found["label_based"] == pytest.approx(results["label_based"], abs=1e-6)
        assert found["inconsistency"]["rotate"] == pytest.approx(
            results["inconsistency"]["rotate"], rel=1e-4
        )


def test_thresholds_of_the_model_are_measured_too(model, split, results):
    rule = DecisionRule(
        model.label_names,
        np.full(len(model.label_names), 0.3, np.float32),
        Calibration.identity(len(model.label_names)),
        {"objective": "f1"},
    )
    tuned = vac_tf.Model(model.network, model.label_names, model.settings, rule)
    found = vac_tf.evaluate(tuned, split, inconsistency=False)
    assert vac_tf.evaluate(model.name, split, inconsistency=False) == vac_tf.evaluate(
        model, split, inconsistency=False
    )
    assert found["label_based"] == results["label_based"]
    lower = vac_tf.evaluate(model, split, inconsistency=False, threshold=0.3)
    comparison = found["tuned_thresholds"]["comparison"]
    assert comparison["fixed"]["F1-O"] == pytest.approx(results["label_based"]["F1-O"])
    assert comparison["tuned"]["F1-O"] == pytest.approx(lower["label_based"]["F1-O"])


@pytest.mark.parametrize("size", [None, 32])
def test_a_network_of_somebody_else(size):
    images, labels = batches()
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    found = vac_tf.evaluate(two_outputs(size), dataset)
    assert [label["name"] for label in found["per_label"]] == ["0", "1"]
    kinds = {"hflip", "rotate", "translate"} | ({"scale"} if size is None else set())
    assert set(found["inconsistency"]) == kinds
    # A shift by one cell of a stride that nobody said.
    assert found["conventions"]["inconsistency"]["translate"] == "translate:8:0"
    assert found["inconsistency"]["translate"]["relative"] < 1e-6


def test_images_of_another_size_are_resized():
    network = vac_tf.Model(two_outputs(), ["a", "b"], 32)
    images, labels = batches(size=48)
    found = vac_tf.evaluate(network, [(images, labels)])
    small = tf.image.resize(images, (32, 32), antialias=True)
    assert found == vac_tf.evaluate(network, [(small, labels)])


def _endless():
    return tf.data.Dataset.from_tensors(batches()).repeat()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: [], "hold no batch"),
        (_endless, "has no end"),
        (lambda: [batches()[0]], r"\(5, 32, 32, 3\)\. Expected pairs"),
        (lambda: [tuple(part[0] for part in batches())], r"\(32, 32, 3\), \(2,\)\. Expected b"),
        (lambda: [(batches()[0], batches()[1][:, :1])], r"labels \[B, 2\]"),
        (lambda: [(batches()[0], 2 * batches()[1])], "0, 1 or NaN"),
    ],
)
def test_other_data_are_told_what_is_expected(data, message):
    model = vac_tf.Model(two_outputs(), ["a", "b"], 32)
    with pytest.raises(ValueError, match=message):
        vac_tf.evaluate(model, data(), inconsistency=False)


def test_labels_of_another_split_are_refused(model, split):
    with pytest.raises(ValueError, match="The data are 'val'. Expected a Split"):
        vac_tf.evaluate(model, "val")
    other = vac_tf.Split(split.image_paths[:1], split.labels[:1, :1], ("else",))
    with pytest.raises(ValueError, match="other labels than expected"):
        vac_tf.evaluate(model, other)
    gone = vac_tf.Split(("gone.jpg",), split.labels[:1], split.label_names)
    with pytest.raises(ValueError, match="gone.jpg cannot be used"):
        vac_tf.evaluate(model, gone, inconsistency=False)


def test_a_model_is_told_what_its_network_lacks():
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 8, strides=8)(images)
    logits = keras.layers.GlobalAveragePooling2D()(features)
    for network, part in (
        (keras.Model(images, logits), r"gives \[\(None, 4\)\]"),
        (keras.Model(images, {"logits": logits}), "gives {'logits'"),
        (keras.Model(images, [logits, keras.layers.Conv2D(3, 1)(features)]), "gives"),
        (keras.Sequential([keras.layers.Dense(2)]), "without inputs"),
        (5, "Got int"),
    ):
        with pytest.raises(ValueError, match=f"{part}.*Expected a functional Keras model"):
            vac_tf.Model(network, "abcd", 32)
    with pytest.raises(ValueError, match="Expected 2 different label names.*got 3"):
        vac_tf.Model(two_outputs(), "abc", 32)
    with pytest.raises(ValueError, match="None x None pixels.*give their size"):
        vac_tf.Model(two_outputs(), "ab")
    with pytest.raises(ValueError, match="32 x 32 pixels, and the size given is 48"):
        vac_tf.Model(two_outputs(32), "ab", 48)
