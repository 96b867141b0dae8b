"""The trainer of the saliency network: its terms by hand, mirroring, and an exact resume."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf.losses.saliency import LOSSES
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.saliency.trainer import SaliencyTrainer

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
TARGETS = np.random.default_rng(1).random((4, 8, 8, 2)).astype("float32")
TARGETS[..., 0] /= TARGETS[..., 0].sum(axis=(1, 2), keepdims=True)


def build_trainer(seed=1, weights=(("kld", 1.0), ("cc", 0.5)), flip_seed=0):
    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 8, strides=8)(keras.layers.Rescaling(1 / 255)(images))
    features = keras.layers.BatchNormalization()(features)
    saliency = keras.layers.Conv2D(1, 1)(features)
    network = keras.Model(images, {"saliency": saliency})
    trainer = SaliencyTrainer(network, dict(weights), flip_seed)
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer)
    return trainer


def test_the_loss_is_the_weighted_sum_on_the_grid_of_the_targets():
    trainer = build_trainer()
    terms = trainer.loss_terms(IMAGES, TARGETS, training=False)
    logits = trainer.network(IMAGES)["saliency"]
    logits = tf.image.resize(logits, (8, 8), "bilinear")[..., 0]
    for name in ("kld", "cc"):
        expected = np.mean(LOSSES[name](logits, TARGETS[..., 0], TARGETS[..., 1]))
        assert float(terms[name]) == pytest.approx(expected, rel=1e-5)
    assert float(terms["loss"]) == pytest.approx(float(terms["kld"] + 0.5 * terms["cc"]))
    assert set(terms) == {"loss", "kld", "cc"}


def test_mirroring_moves_images_and_targets_together():
    trainer = build_trainer()
    images = np.repeat(IMAGES[:1], 64, axis=0)
    targets = np.repeat(TARGETS[:1], 64, axis=0)
    mirrored, moved = (np.asarray(values) for values in trainer._mirrored(images, targets))
    flipped = np.array([not np.array_equal(image, IMAGES[0]) for image in mirrored])
    assert 16 < flipped.sum() < 48
    np.testing.assert_array_equal(mirrored[flipped], images[flipped, :, ::-1])
    np.testing.assert_array_equal(moved[flipped], targets[flipped, :, ::-1])
    np.testing.assert_array_equal(moved[~flipped], targets[~flipped])
    again = np.asarray(trainer._mirrored(images, targets)[0])
    np.testing.assert_array_equal(again, mirrored)  # The step alone decides,
    trainer.optimizer.iterations.assign(1)
    assert not np.array_equal(trainer._mirrored(images, targets)[0], mirrored)  # and it does.
    assert build_trainer(flip_seed=None)._mirrored(images, targets)[0] is images


def test_training_lowers_the_loss_and_resumes_bit_for_bit(tmp_path):
    path = str(tmp_path / "state.npz")
    whole, first = build_trainer(1), build_trainer(1)
    before = float(whole.loss_terms(IMAGES, TARGETS, training=True)["loss"])
    for _ in range(6):
        whole.train_step((IMAGES, TARGETS))
    assert float(whole.loss_terms(IMAGES, TARGETS, training=True)["loss"]) < before
    first.loss_terms(IMAGES, TARGETS, training=True)  # Moves the batch statistics, as above.
    for _ in range(2):
        first.train_step((IMAGES, TARGETS))
    progress = {"epoch": 0, "step": 2, "history": [], "best": {}, "best_epoch": 0, "winner": "raw"}
    save_state(path, first, progress)
    second = build_trainer(2)
    load_state(path, second)
    for _ in range(4):
        second.train_step((IMAGES, TARGETS))
    second.loss_terms(IMAGES, TARGETS, training=True)
    for value, expected in zip(second.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_mixed_float16_takes_steps():
    trainer = build_trainer()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer)
    trainer.coupled_weight_decay = 0.1
    before = [np.asarray(v) for v in trainer.trainable_variables]
    assert np.isfinite(float(trainer.train_step((IMAGES, TARGETS))["loss"]))
    assert any(
        not np.array_equal(v, b) for v, b in zip(trainer.trainable_variables, before, strict=True)
    )
