"""A backbone's own learning rate: its steps are those of a plain optimizer with that rate."""

import keras
import numpy as np
import pytest

from tests.vac_tf.small_trainer import build_network, build_trainer
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.fine_tuning.backbone_rate import BackboneRate, backbone_rate
from vac_tf.training.schedules import build_optimizer
from vac_tf.training.step.compiling import compile_trainer
from vac_tf.training.weight_average import weight_keeper

STEPS, SCALE = 3, 0.1
SETTINGS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "nesterov": True},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.3},
    "float16": {"optimizer": "adamw", "weight_decay": 0.3, "precision": "mixed_float16"},
}
GRADIENTS = np.random.default_rng(0).standard_normal((STEPS, 2, 3)).astype("float32")


def config_of(name, **changes):
    settings = {"schedule": "constant", "learning_rate": 0.05, "ema_decay": 0.9}
    return TrainConfig(run_dir="run", **settings | SETTINGS[name] | changes)


def train(config, backbone=None, first_step=0, decays=True):
    """Weights and averages of two variables, (backbone, head), after the steps."""
    variables = [keras.Variable(np.float32([1.0, -2.0, 0.5]), name="kernel") for _ in range(2)]
    rate = backbone and BackboneRate(variables[:1], *backbone)
    optimizer = build_optimizer(config, 4, rate)
    if not decays:
        weight_keeper(optimizer).exclude_from_weight_decay(var_list=variables)
    optimizer.build(variables)
    for step in range(first_step, STEPS):
        # A frozen variable has no gradient: it is left out.
        first = 0 if step >= (backbone[1] if backbone else 0) else 1
        gradients = [optimizer.scale_loss(gradient) for gradient in GRADIENTS[step]]
        optimizer.apply_gradients(list(zip(gradients, variables, strict=True))[first:])
    averages = weight_keeper(optimizer)._model_variables_moving_average
    return [np.asarray(value) for value in (*variables, *averages)]


@pytest.mark.parametrize(
    ("name", "decays"), [*((name, True) for name in SETTINGS), ("adamw", False)]
)
def test_a_scaled_rate_is_the_rate_of_another_optimizer(name, decays):
    config = config_of(name)
    slower = config_of(name, learning_rate=0.05 * SCALE)
    backbone, head, *averages = train(config, (SCALE, 0), decays=decays)
    plain, plain_slower = train(config, decays=decays), train(slower, decays=decays)
    for found, expected in ((backbone, plain_slower[0]), (averages[0], plain_slower[2])):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    for found, expected in ((head, plain[1]), (averages[1], plain[3])):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(plain[0], plain_slower[0], rtol=1e-3)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_backbone_that_starts_late_makes_the_steps_of_one_that_starts(name):
    """AdamW's first steps too: they are corrected by the backbone's own number of steps."""
    frozen = 1
    backbone, head, *_ = train(config_of(name), (1.0, frozen))
    np.testing.assert_allclose(
        backbone, train(config_of(name), first_step=frozen)[0], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(head, train(config_of(name))[1], rtol=1e-6)


def test_by_default_the_optimizer_is_that_of_keras():
    network = build_network()
    assert backbone_rate(TrainConfig(run_dir="run"), network, 4) is None
    for name in ("sgd", "adamw"):
        optimizer = build_optimizer(config_of(name), 4)
        assert type(optimizer) in (keras.optimizers.SGD, keras.optimizers.AdamW)


def test_the_backbone_is_everything_before_the_head():
    trainer = build_trainer()
    config = TrainConfig(run_dir="run", backbone_learning_rate_scale=0.5, frozen_epochs=2)
    rate = backbone_rate(config, trainer.network, steps_per_epoch=4)
    assert (rate.scale, rate.frozen_steps) == (0.5, 8)
    head = trainer.network.get_layer("cam_head").trainable_variables
    names = [variable.path for variable in trainer.trainable_variables]
    found = [variable.path for variable in (*rate.variables, *head)]
    assert sorted(found) == sorted(names) and len(rate.variables) == 4


def test_biases_and_scales_stay_undecayed():
    config = TrainConfig(run_dir="run", weight_decay=0.1, learning_rate=0.5, schedule="constant")
    trainer = build_trainer()
    weights = trainer.trainable_variables
    rate = BackboneRate(trainer.network.layers[2].trainable_variables, scale=0.5)
    compile_trainer(config, trainer, 4, backbone=rate)
    for weight in weights:
        weight.assign(keras.ops.ones_like(weight))
    zeros = [keras.ops.zeros_like(weight) for weight in weights]
    trainer.optimizer.apply_gradients(zip(zeros, weights, strict=True))
    left = [(weight.name, round(float(np.ravel(weight)[0]), 6)) for weight in weights]
    assert left[0] == ("kernel", 0.975) and left[-2] == ("kernel", 0.95)
    assert {value for name, value in left if name != "kernel"} == {1.0}
