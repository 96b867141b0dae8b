"""float16 with a scaled loss: a step whose gradients overflow is left out, and is no divergence."""

import keras
import numpy as np
import tensorflow as tf

from tests.vac_tf.small_trainer import build_batch, build_network, build_trainer
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.callbacks import StopOnNonFiniteLoss
from vac_tf.training.divergence import check_weights
from vac_tf.training.step.compiling import compile_trainer


def test_a_step_that_overflows_is_left_out():
    config = TrainConfig(precision="mixed_float16", optimizer="sgd", weight_decay=0.01)
    trainer = build_trainer(
        "hflip", build_network("mixed_float16"), coupled_weight_decay=config.weight_decay
    )
    compile_trainer(config, trainer, steps_per_epoch=3)
    optimizer = trainer.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    optimizer.dynamic_scale.assign(2.0**127)
    weights = [np.asarray(variable) for variable in trainer.trainable_variables]
    batch = tf.data.Dataset.from_tensors(build_batch())
    guard = StopOnNonFiniteLoss(0, {})
    trainer.fit(batch.repeat(3), shuffle=False, verbose=0, callbacks=[guard])
    check_weights(trainer, 3)
    assert float(optimizer.dynamic_scale) == 2.0**124 and int(optimizer.iterations) == 0
    for variable, expected in zip(trainer.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, expected)

    optimizer.dynamic_scale.assign(2.0**10)
    trainer.fit(batch, shuffle=False, verbose=0, callbacks=[guard])
    assert int(optimizer.iterations) == 1
    assert not np.array_equal(trainer.trainable_variables[0], weights[0])


def test_a_given_optimizer_has_its_loss_scaled_too():
    config = TrainConfig(precision="mixed_float16")
    given = keras.optimizers.SGD(0.01)
    for optimizer in (given, keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))):
        trainer = build_trainer("hflip", build_network("mixed_float16"))
        compile_trainer(config, trainer, steps_per_epoch=3, optimizer=optimizer)
        assert isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
        assert isinstance(trainer.optimizer.inner_optimizer, keras.optimizers.SGD)
