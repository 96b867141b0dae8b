"""Gradients computed in parts are those of the whole batch; a step is a step."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import RATIO, STRIDE, build_batch
from vac_tf.configs.classification import TrainConfig
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.models.cam_head import CAMHead
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.step.accumulation import accumulated_gradients, check_parts
from vac_tf.training.step.compiling import compile_trainer

CONFIG = TrainConfig(
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=0.01,
    gradient_clip_norm=0.5,
    ema_decay=0.9,
    schedule="one_cycle",
    warmup_epochs=1.0,
    epochs=4,
    batch_size=12,
)


def build_trainer(config):
    """Without batch normalisation, whose statistics are those of a part."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    features = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    features = keras.layers.Conv2D(6, STRIDE, STRIDE, activation="relu")(features)
    network = keras.Model(images, CAMHead(3, name="cam_head")(features))
    trainer = ConsistencyTrainer(
        network,
        RATIO,
        parse_transforms("hflip,scale:16"),
        Consistency(pairs="grid"),
        stride=STRIDE,
        coupled_weight_decay=config.weight_decay if config.optimizer == "sgd" else 0.0,
    )
    compile_trainer(config, trainer, steps_per_epoch=2)
    return trainer


def state_after_training(config, num_images=4):
    images, labels = (values[:num_images] for values in build_batch())
    trainer = build_trainer(config)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat(5)
    history = trainer.fit(batches, shuffle=False, verbose=0).history
    history.pop("heatmap_size")  # A root of a mean has no mean.
    state = [*trainer.variables, *trainer.optimizer.variables]
    return history, [np.asarray(variable) for variable in state]


@pytest.mark.parametrize(
    ("changes", "parts", "num_images"),
    [
        ({"optimizer": "adamw"}, 3, 4),  # Parts of 1, 1 and 2 images.
        ({"precision": "mixed_float16"}, 4, 4),
        ({}, 2, 3),  # A last, partial batch.
    ],
)
def test_parts_of_a_batch_train_as_the_whole_batch(changes, parts, num_images):
    config = dataclasses.replace(CONFIG, **changes)
    history, state = state_after_training(config, num_images)
    in_parts = dataclasses.replace(config, accumulate_steps=parts)
    accumulated_history, accumulated = state_after_training(in_parts, num_images)
    for name, values in history.items():
        np.testing.assert_allclose(accumulated_history[name], values, rtol=1e-5, err_msg=name)
    # Weights, iterations, momenta, averages and the loss scale.
    assert len(accumulated) == len(state)
    for value, expected in zip(accumulated, state, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_the_parts_are_traced_once_and_an_unused_weight_has_no_gradient():
    traces = []

    def gradients_of(values, labels):
        traces.append(values)
        return {"loss": tf.reduce_mean(values)}, [tf.reduce_mean(values**2), None]

    values = tf.constant([1.0, 2.0, 3.0, 5.0, 7.0])
    terms, gradients = tf.function(
        lambda: accumulated_gradients(gradients_of, (values, values), 3)
    )()
    assert float(terms["loss"]) == pytest.approx(np.mean(values))
    assert float(gradients[0]) == pytest.approx(np.mean(values**2)) and gradients[1] is None
    assert len(traces) == 1


def test_a_batch_with_fewer_images_than_parts_is_refused():
    check_parts(4, smallest_batch=4)
    with pytest.raises(ValueError, match=r"has 3 images, fewer than the 4 parts.*drop_remainder"):
        check_parts(4, smallest_batch=3)
    with pytest.raises(ValueError, match="accumulate_steps 5 must divide batch_size 12"):
        dataclasses.replace(CONFIG, accumulate_steps=5)


@pytest.mark.parametrize(
    "given", [{"jit_compile": "on"}, {"steps_per_execution": 2}, {"accumulate_steps": 2}]
)
def test_several_replicas_have_a_step_of_their_own(given):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=f"{name}={value}: not with strategy 'mirrored'"):
        dataclasses.replace(CONFIG, strategy="mirrored", **given)
