"""The optimizer of a run, given to its trainer."""

from collections.abc import Sequence

import keras

from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.fine_tuning.backbone_rate import BackboneRate
from vac_tf.training.schedules import build_optimizer, leave_undecayed, with_scaled_loss
from vac_tf.training.step.compiled_trainer import uses_xla
from vac_tf.training.weight_average import keep_weights_apart


def compile_trainer(
    config,
    trainer,
    steps_per_epoch: int,
    distribution: Distribution = ONE_DEVICE,
    backbone: BackboneRate | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    metrics: Sequence[keras.metrics.Metric] = (),
) -> None:
    """Gives a trainer the optimizer of its run, with every variable made, ready to be restored."""
    with distribution.scope():
        if optimizer:
            optimizer = with_scaled_loss(optimizer, config.precision)
        else:
            optimizer = build_optimizer(config, steps_per_epoch, backbone)
        if config.optimizer == "adamw" and not config.decay_all_weights:
            leave_undecayed(optimizer, trainer.trainable_variables)
        optimizer.build(trainer.trainable_variables)
    if config.ema_decay:
        keep_weights_apart(optimizer)
    trainer.compile(
        optimizer=optimizer,
        metrics=list(metrics) or None,
        jit_compile=uses_xla(config.jit_compile),
        steps_per_execution=config.steps_per_execution,
        accumulate_steps=config.accumulate_steps,
    )
