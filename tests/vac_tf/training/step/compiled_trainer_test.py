"""A trainer that is compiled by hand: traced once, and XLA's errors in one line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import build_batch, build_trainer
from vac_tf.training.saliency.trainer import SaliencyTrainer
from vac_tf.training.step.compiled_trainer import (
    CompiledTrainer,
    StepNotCompiledError,
    naming_jit_compile,
)


def saliency_trainer():
    images = keras.Input((24, 24, 3))
    network = keras.Model(images, {"saliency": keras.layers.Conv2D(1, 8, 8)(images)})
    return SaliencyTrainer(network, {"kld": 1.0})


def saliency_batch():
    images, _ = build_batch()
    return images, tf.fill((4, 6, 6, 2), 1.0 / 36.0)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("build", "batch"),
    [(build_trainer, build_batch), (saliency_trainer, saliency_batch)],
    ids=["classifier", "saliency"],
)
def test_the_step_of_a_trainer_compiled_by_hand_is_traced_once(build, batch, scaled):
    trainer, traces = build(), []
    train_step = trainer.train_step

    def counted(data):
        traces.append(data)
        return train_step(data)

    trainer.train_step = counted
    optimizer = keras.optimizers.AdamW(1e-3)
    trainer.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer)
    variables = len(trainer.optimizer.variables)
    trainer.fit(tf.data.Dataset.from_tensors(batch()).repeat(3), shuffle=False, verbose=0)
    assert len(traces) == 1
    assert len(trainer.optimizer.variables) == variables


class Uncompilable(CompiledTrainer):
    """Its step resizes by the op that XLA lacks."""

    def __init__(self):
        super().__init__()
        self.w = self.add_weight(name="w", shape=())
        self._means = {}
        self.built = True

    def train_step(self, images):
        return {"loss": tf.reduce_sum(tf.image.resize(images, (2, 2), antialias=True))}


def test_what_xla_lacks_is_named_with_the_flag():
    batches = tf.data.Dataset.from_tensors(np.ones((1, 4, 4, 3), "float32"))
    trainer = Uncompilable()
    trainer.compile(keras.optimizers.SGD(), jit_compile=True)
    with pytest.raises(StepNotCompiledError) as error, naming_jit_compile("on"):
        trainer.fit(batches, shuffle=False, verbose=0)
    message = str(error.value)
    assert message.startswith("XLA cannot compile the training step: ScaleAndTranslate")
    assert message.endswith(". Use --jit_compile=off.") and "\n" not in message
    assert error.value.exit_code == 2


def test_other_errors_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), naming_jit_compile("on"):
        tf.reshape(tf.ones(3), (2,))
    with pytest.raises(tf.errors.InvalidArgumentError), naming_jit_compile("auto"):
        raise tf.errors.InvalidArgumentError(None, None, "on XLA_CPU_JIT: Op (no kernel)")
