"""Which side of a comparison learns: values, gradients, the teacher and its state."""

import contextlib
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import build_batch, build_trainer, numbers
from vac_tf.losses.consistency import FORMS
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.weight_average import averaged_weights, keep_weights_apart

TARGETS = ("stop_gradient", "ema_teacher")


def build(target, transforms="scale:16", **options):
    """A trainer whose optimizer keeps averages; always with the same weights."""
    trainer = build_trainer(transforms, target=target, form="hard_pixels", **options)
    trainer.compile(optimizer=keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    keep_weights_apart(trainer.optimizer)
    return trainer


def steps(trainer, number):
    for _ in range(number):
        trainer.train_step(build_batch())
    return trainer


def variables(trainer):
    return [np.asarray(v) for v in [*trainer.variables, *trainer.optimizer.variables]]


def consistency_gradients(trainer):
    """The consistency term of a training step and its gradients."""
    with tf.GradientTape() as tape:
        term = trainer.loss_terms(*build_batch(), training=True)["consistency_scale_16"]
    return float(term), tape.gradient(term, trainer.trainable_variables)


@pytest.fixture(scope="module")
def trained():
    """After two steps, when the averages are behind; tests choose its target only."""
    return steps(build("both"), 2)


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_transformed_view_learns(trained, target):
    images, labels = build_batch()
    (scaling,) = trained.transforms
    with averaged_weights(trained) if target == "ema_teacher" else contextlib.nullcontext():
        given = trained.network(images, training=True)["heatmaps"]
    with tf.GradientTape() as tape:
        maps = trained.network(scaling.images(images), training=True)["heatmaps"]
        by_hand = tf.reduce_mean(FORMS["hard_pixels"].compare(given, maps, labels))
    gradients = tape.gradient(by_hand, trained.trainable_variables)
    trained.consistency = dataclasses.replace(trained.consistency, target=target)
    term, found = consistency_gradients(trained)
    assert term == pytest.approx(float(by_hand), rel=1e-5)
    for gradient, expected in zip(found, gradients, strict=True):
        if expected is None:
            assert gradient is None
        else:
            np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_before_the_first_step_the_teacher_is_the_network_and_then_it_is_behind(trained):
    terms = []
    for trainer in (build("both"), trained):
        for target in ("both", *TARGETS):
            trainer.consistency = dataclasses.replace(trainer.consistency, target=target)
            terms.append(consistency_gradients(trainer)[0])
    assert terms[0] == terms[1] == pytest.approx(terms[2], rel=1e-6)
    assert terms[3] == terms[4] and abs(terms[5] / terms[3] - 1) > 1e-3


def test_the_teacher_moves_nothing():
    trainers = [build(target, "hflip,scale:16", pairs="grid") for target in ("both", "ema_teacher")]
    for trainer in trainers:
        trainer.loss_terms(*build_batch(), training=True)
    for value, expected in zip(*map(variables, reversed(trainers)), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_validation_judges_the_network_alone(trained):
    terms = []
    for target in ("ema_teacher", "both"):
        trained.consistency = dataclasses.replace(trained.consistency, target=target)
        terms.append(numbers(trained.loss_terms(*build_batch(), training=False)))
    assert terms[0] == terms[1]


@pytest.mark.slow
def test_a_continued_run_has_its_teacher(tmp_path):
    whole, first = steps(build("ema_teacher"), 3), steps(build("ema_teacher"), 2)
    path, second = str(tmp_path / "state.npz"), build("ema_teacher")
    progress = {"epoch": 0, "step": 2, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
    save_state(path, first, progress)
    load_state(path, second)
    for value, expected in zip(variables(steps(second, 1)), variables(whole), strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"drawing_seed": 3}, {"pairs": "grid"}], ids=["drawn", "grid"])
def test_xla_and_the_plain_graph_have_the_same_teacher(options):
    def after_five_steps(jit_compile):
        trainer = build_trainer("hflip,scale:16", target="ema_teacher", **options)
        optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
        trainer.compile(optimizer=optimizer, jit_compile=jit_compile)
        keep_weights_apart(optimizer)
        batches = tf.data.Dataset.from_tensors(build_batch()).repeat(5)
        trainer.fit(batches, shuffle=False, verbose=0)
        return variables(trainer)

    for value, expected in zip(*map(after_five_steps, (True, False)), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


def test_a_teacher_needs_averages():
    trainer = build_trainer("hflip", target="ema_teacher")
    trainer.compile(optimizer=keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="SGD keeps no averages of the weights"):
        trainer.train_step(build_batch())
    with pytest.raises(ValueError, match="Unknown consistency_target 'first'. Expected one of: bo"):
        build_trainer("hflip", target="first")
