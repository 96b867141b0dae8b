"""The first steps of a training, as train.py would take them, of which nothing is kept."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.method_check import check_method
from vac_tf.training.run import freeze_or_release, prepare_run
from vac_tf.training.step.compiled_trainer import naming_jit_compile
from vac_tf.training.step.precision_check import check_precision


def take_steps(
    config: TrainConfig,
    num_steps: int,
    callbacks: Callable[[ConsistencyTrainer], Sequence[keras.callbacks.Callback]],
) -> None:
    """Trains a network that is thrown away, on the batches of a run in their order.

    Args:
        config: of the run; no file is written, but for a cache of images.
        num_steps: steps; over as many epochs as they need.
        callbacks: called with the trainer before the first step. Keras calls them after every
            step, whatever `steps_per_execution` says; `stop_training` ends the last epoch.

    Raises:
        ValueError: unusable settings or data.
    """
    check_method(config)
    check_precision(config.precision)
    config = dataclasses.replace(config, steps_per_execution=1)
    data, trainer = prepare_run(config)
    observers = [*callbacks(trainer)]
    steps = data.training.steps_per_epoch
    with data.naming_bad_images(), naming_jit_compile(config.jit_compile):
        for epoch in range(math.ceil(num_steps / steps)):
            freeze_or_release(config, trainer, epoch)
            trainer.fit(
                data.training.epoch(epoch).take(num_steps - epoch * steps),
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=observers,
                shuffle=False,
                verbose=0,
            )
            if trainer.stop_training:
                return
