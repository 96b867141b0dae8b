"""Steps of the trainer: weight decay, reported means, and losses that are not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import (
    ALL_TRANSFORMS,
    build_batch,
    build_network,
    build_trainer,
    numbers,
)
from vac_tf.training.callbacks import StopOnNonFiniteLoss
from vac_tf.training.divergence import DivergenceError


@pytest.fixture(scope="module")
def batch():
    return build_batch()


@pytest.mark.parametrize("loss_scale", [None, 1024.0])
def test_coupled_weight_decay_equals_sgd_by_hand(batch, loss_scale):
    images, labels = batch
    decay, rate, momentum = 0.05, 0.1, 0.9
    trainer = build_trainer("hflip", coupled_weight_decay=decay)
    optimizer = keras.optimizers.SGD(rate, momentum=momentum)
    if loss_scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=loss_scale)
    trainer.compile(optimizer=optimizer)
    reference = build_trainer("hflip")
    velocities = [np.zeros(v.shape) for v in reference.trainable_variables]
    reported = []
    for _ in range(3):
        logs = trainer.train_step((images, labels))
        with tf.GradientTape() as tape:
            loss = reference.loss_terms(images, labels, training=True)["loss"]
        reported.append(float(loss))
        variables = reference.trainable_variables
        gradients = tape.gradient(loss, variables)
        for number, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            total = gradient.numpy() + decay * variable.numpy()
            velocities[number] = momentum * velocities[number] - rate * total
            variable.assign_add(velocities[number])
    for weight, expected in zip(trainer.weights, reference.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=2e-4, atol=2e-6)
    # The decay is no part of the reported loss.
    assert float(logs["loss"]) == pytest.approx(np.mean(reported), rel=1e-4)


def test_test_step_gives_the_terms_of_the_same_weights_in_inference(batch):
    images, labels = batch
    trainer = build_trainer(ALL_TRANSFORMS)
    trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    trainer.train_step((images, labels))
    trainer.reset_metrics()
    before = [weight.numpy() for weight in trainer.network.weights]
    logs = numbers(trainer.test_step((images, labels)))
    assert logs == pytest.approx(numbers(trainer.loss_terms(images, labels, training=False)))
    for weight, old in zip(trainer.network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_reported_terms_are_means_over_images(batch):
    images, labels = batch
    trainer = build_trainer("hflip,scale:16")
    trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(3)
    logs = trainer.evaluate(dataset, return_dict=True, verbose=0)
    whole = numbers(trainer.loss_terms(images, labels, training=False))
    logs.pop("heatmap_size"), whole.pop("heatmap_size")  # A root of a mean has no mean.
    assert logs == pytest.approx(whole, rel=1e-5)


def test_mixed_precision_keeps_losses_in_float32(batch):
    images, labels = batch
    trainer = build_trainer("hflip,scale:16", build_network("mixed_bfloat16"), level="features")
    terms = trainer.loss_terms(images, labels, training=True)
    assert {value.dtype for value in terms.values()} == {tf.float32}


def fit(trainer, datasets, first_step=0):
    trainer.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    trainer.fit(datasets, verbose=0, shuffle=False, callbacks=[StopOnNonFiniteLoss(first_step, {})])


def test_a_non_finite_loss_names_its_term_and_step(batch):
    images, labels = batch
    bad = tf.concat([images[:3], np.nan * images[3:]], axis=0)
    dataset = tf.data.Dataset.from_tensor_slices((bad, labels)).batch(1)
    message = r"classification_loss is not finite at step 104\."
    with pytest.raises(DivergenceError, match=message):
        fit(build_trainer("hflip"), dataset, first_step=100)


def test_heatmaps_that_overflow_name_the_consistency_term(batch):
    images, labels = batch
    trainer = build_trainer("hflip")
    kernel = trainer.network.get_layer("cam_head").kernel
    kernel.assign(1e25 * kernel)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    with pytest.raises(DivergenceError, match="consistency_hflip is not finite at step 1"):
        fit(trainer, dataset)
