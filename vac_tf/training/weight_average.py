"""The exponential moving average that the optimizer keeps, put into the network for a while."""

import contextlib

import keras


def _keeper(optimizer):
    is_wrapped = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if is_wrapped else optimizer


def keep_weights_apart(optimizer) -> None:
    """Stops `fit` from overwriting the weights by their average when it ends (every epoch here)."""
    optimizer.finalize_variable_values = lambda variables: None
    _keeper(optimizer).finalize_variable_values = lambda variables: None


@contextlib.contextmanager
def averaged_weights(trainer: keras.Model):
    """Inside, the trainable weights are their averages; afterwards they are back."""
    variables = trainer.trainable_variables
    averages = _keeper(trainer.optimizer)._model_variables_moving_average
    weights = [variable.numpy() for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)
