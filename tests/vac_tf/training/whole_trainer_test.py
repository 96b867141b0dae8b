"""The trainer as a Keras model: metrics, sample weights, saving, prediction, stride."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import (
    RATIO,
    STRIDE,
    build_batch,
    build_network,
    build_trainer,
    numbers,
)
from vac_tf.training.consistency_trainer import ConsistencyTrainer


@pytest.fixture(scope="module")
def fitted():
    """A trainer after an epoch of two batches, and its history."""
    trainer = build_trainer("hflip", network=build_network(is_normalized=False), level="logits")
    metrics = [keras.metrics.BinaryAccuracy(), keras.metrics.F1Score("macro", 0.5)]
    trainer.compile(keras.optimizers.Adam(1e-3), metrics=metrics, accumulate_steps=2)
    assert trainer.optimizer.built and all(metric.variables for metric in metrics)
    images, labels = build_batch()
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat(2)
    return trainer, trainer.fit(batches, shuffle=False, verbose=0).history


def test_metrics_are_those_of_labels_and_probabilities(fitted):
    trainer, history = fitted
    assert {"loss", "consistency_loss", "binary_accuracy", "f1_score"} <= set(history)
    images, labels = (value.numpy() for value in build_batch())
    labels[0, 1] = np.nan
    logs = trainer.evaluate(images, labels, batch_size=4, verbose=0, return_dict=True)
    probabilities = keras.ops.sigmoid(trainer.predict(images, verbose=0)["logits"]).numpy()
    known = keras.metrics.BinaryAccuracy()(labels[1:], probabilities[1:])
    assert logs["binary_accuracy"] == pytest.approx(float(known))
    assert np.isfinite(list(logs.values())).all()


def test_a_saved_trainer_goes_on_as_the_one_that_was_not(fitted, tmp_path):
    trainer, _ = fitted
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.models.load_model(tmp_path / "trainer.keras")
    assert loaded.consistency == trainer.consistency and loaded.transforms == trainer.transforms
    assert loaded.accumulate_steps == 2
    assert int(loaded.optimizer.iterations) == int(trainer.optimizer.iterations) > 0
    logs = [each.train_step(build_batch()) for each in (trainer, loaded)]
    assert logs[0].keys() == logs[1].keys()
    for first, second in zip(trainer.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-7)


@pytest.mark.parametrize("training", [True, False])
def test_an_example_of_weight_two_counts_as_two_and_one_of_weight_zero_as_none(training):
    trainer = build_trainer("hflip,scale:16", build_network(is_normalized=False))
    images, labels = build_batch()
    weights = tf.constant([2.0, 0.0, 1.0, 1.0])
    weighted = numbers(trainer.loss_terms(images, labels, training, weights))
    rows = tf.constant([0, 0, 2, 3])
    repeated = trainer.loss_terms(tf.gather(images, rows), tf.gather(labels, rows), training)
    for name, value in numbers(repeated).items():
        if name != "heatmap_size":  # No loss.
            assert weighted[name] == pytest.approx(value, rel=1e-5)
    with pytest.raises(ValueError, match=r"one number per example, \(B,\), got \(4, 3\)"):
        trainer.loss_terms(images, labels, training, labels)


def test_sample_weights_reach_the_step():
    trainer = build_trainer(network=build_network(is_normalized=False))
    images, labels = (value.numpy() for value in build_batch())
    trainer.compile(keras.optimizers.SGD(0.1))
    before = [np.asarray(variable) for variable in trainer.trainable_variables]
    trainer.fit(images, labels, sample_weight=np.zeros(4, "float32"), verbose=0)
    for variable, value in zip(trainer.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_stride_is_that_of_the_network():
    assert build_trainer().stride == STRIDE
    images = keras.Input((60, 60, 3))
    maps = keras.layers.Conv2D(3, 3, 12, padding="same")(images)
    outputs = {"heatmaps": maps, "logits": keras.layers.GlobalAveragePooling2D()(maps)}
    assert ConsistencyTrainer(keras.Model(images, outputs), RATIO).stride == 12
    oblong = keras.layers.Conv2D(3, 3, (12, 6), padding="same")(images)
    outputs["heatmaps"] = oblong
    with pytest.raises(ValueError, match="the same whole stride along height and width"):
        ConsistencyTrainer(keras.Model(images, outputs), RATIO)


def test_a_loss_is_not_given_twice():
    trainer = build_trainer()
    with pytest.raises(ValueError, match="the loss of a ConsistencyTrainer is given when it is"):
        trainer.compile(loss="mse")
