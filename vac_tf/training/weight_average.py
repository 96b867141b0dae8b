"""The exponential moving average that the optimizer keeps, put into the network for a while."""

import contextlib
from collections.abc import Iterable

import keras
import tensorflow as tf


def weight_keeper(optimizer):
    """The optimizer that moves the weights: the inner one of a loss scaling optimizer."""
    is_wrapped = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if is_wrapped else optimizer


def keep_weights_apart(optimizer) -> None:
    """Stops `fit` from overwriting the weights by their average when it ends (every epoch here)."""
    optimizer.finalize_variable_values = lambda variables: None
    weight_keeper(optimizer).finalize_variable_values = lambda variables: None


@contextlib.contextmanager
def averaged_weights(trainer: keras.Model, batches=()):
    """Inside, the network has the averages of its weights; afterwards its own are back.

    The moving statistics of batch normalisation belong to the raw weights. For the averages they
    are measured anew: the mean over the passes of a training step, of all `batches`, of the batch
    statistics (Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018, Section 3.2).

    Args:
        trainer: Compiled, with an optimizer that keeps averages.
        batches: Training batches (images, ...); none: the statistics stay those of the raw weights.
    """
    network = trainer.network
    # Dropout's seeds too: that an average is scored must not change what is trained next.
    before = [(variable, variable.numpy()) for variable in network.variables]
    keeper = weight_keeper(trainer.optimizer)
    averages = keeper._model_variables_moving_average
    try:
        # Of all that learn at some time: a frozen backbone is not trainable for a while.
        for variable, average in zip(keeper._trainable_variables, averages, strict=True):
            variable.assign(average)
        views = (view for images, *_ in batches for view in trainer.training_inputs(images))
        measure_statistics(network, views)
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def computing_with_averages(optimizer):
    """Inside, a step's graph computes with the averages of the weights, and moves no variable.

    Batch normalisation by the statistics of the batch fits them; the moving statistics are those
    of the raw weights. Before the first step the averages are the weights.

    Args:
        optimizer: built, with averages.

    Raises:
        ValueError: when it keeps none.
    """
    keeper = weight_keeper(optimizer)
    if not keeper.use_ema:
        raise ValueError(
            f"{type(keeper).__name__} keeps no averages of the weights; build it with use_ema=True."
        )
    has_begun = keras.ops.greater(keeper.iterations, 0)
    averages = keeper._model_variables_moving_average
    return keras.StatelessScope(
        [
            (variable, keras.ops.where(has_begun, average, variable))
            for variable, average in zip(keeper._trainable_variables, averages, strict=True)
        ]
    )


def measure_statistics(network: keras.Model, views: Iterable) -> None:
    """Sets the moving statistics of batch normalisation to the means over some passes.

    Args:
        network: the statistics are those of its weights.
        views: `[B, H, W, 3]` images of each pass; none: the statistics stay.
    """
    layers = list(moving_normalizations(network))
    if not layers:
        return
    totals = [[0.0, 0.0] for _ in layers]
    passes = 0
    for view in views:
        for layer in layers:
            layer.moving_mean.assign(keras.ops.zeros_like(layer.moving_mean))
            layer.moving_variance.assign(keras.ops.zeros_like(layer.moving_variance))
        _training_pass(network)(view)
        passes += 1
        for total, layer in zip(totals, layers, strict=True):
            # From zero, a pass leaves (1 - momentum) of its statistics.
            total[0] += layer.moving_mean.numpy() / (1.0 - layer.momentum)
            total[1] += layer.moving_variance.numpy() / (1.0 - layer.momentum)
    if passes:
        for (mean, variance), layer in zip(totals, layers, strict=True):
            layer.moving_mean.assign(mean / passes)
            layer.moving_variance.assign(variance / passes)


def moving_normalizations(network):
    """Every batch normalisation, of nested networks too, whose statistics training moves."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from moving_normalizations(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def _training_pass(network):
    """The pass of a training step as a graph, kept with the network: it is made once for a run."""
    if not hasattr(network, "_training_pass"):
        network._training_pass = tf.function(
            lambda images: network(images, training=True), autograph=False, reduce_retracing=True
        )
    return network._training_pass
