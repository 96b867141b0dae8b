"""What the replicas of one training step add up, so that each moves its weights alike.

Everything here runs inside `strategy.run`; on one device the sums are those of the device alone.
"""

import tensorflow as tf

from vac_tf.training.weight_average import moving_normalizations

# A root of a mean has no mean over the replicas; its square has.
_ROOT_MEAN_SQUARES = frozenset({"heatmap_size"})


def num_replicas() -> int:
    """Replicas that take part in the step that is being traced or run."""
    replica = tf.distribute.get_replica_context()
    return replica.num_replicas_in_sync if replica else 1


def replica_weight(num_examples):
    """What a mean over this replica's examples counts for, so that all count alike on average.

    Args:
        num_examples: float32 scalar, examples of this replica; the last batch of an epoch may
            give the replicas different numbers.

    Returns:
        float32 scalar: with it the mean over the replicas of their means is the mean over all
        examples of the step.
    """
    if num_replicas() == 1:
        return tf.ones(())
    (total,) = _sums([num_examples])
    return num_examples * num_replicas() / total


def reduce_step(network, gradients: list, terms: dict, weight) -> tuple[list, dict]:
    """The gradients and loss terms of the whole step, the same on every replica.

    The moving statistics of batch normalisation, which every replica has moved by its own part of
    the batch, become their mean: all replicas have one state, which one of them can save for all.

    Args:
        network: whose statistics have been moved.
        gradients: of this replica's loss, times its weight; None: of an unused weight.
        terms: float32 scalars by name, means over this replica's examples.
        weight: see `replica_weight`.
    """
    if num_replicas() == 1:
        return gradients, terms
    statistics = _unsynchronized_statistics(network)
    scalars = [_addable(name, value) * weight for name, value in terms.items()]
    moved = [tf.cast(variable.value, tf.float32) * weight for variable in statistics]
    used = [gradient for gradient in gradients if gradient is not None]
    sums = _sums([*used, *moved, tf.stack(scalars)])
    *means, scalars = [total / num_replicas() for total in sums]
    for variable, value in zip(statistics, means[len(used) :], strict=True):
        variable.assign(value)
    of_used = iter(means[: len(used)])
    reduced = [None if gradient is None else next(of_used) for gradient in gradients]
    named = zip(terms, tf.unstack(scalars), strict=True)
    return reduced, {name: _as_it_was(name, value) for name, value in named}


def _sums(tensors):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _unsynchronized_statistics(network):
    return [
        statistic
        for layer in moving_normalizations(network)
        if not layer.synchronized
        for statistic in (layer.moving_mean, layer.moving_variance)
    ]


def _addable(name, value):
    return tf.square(value) if name in _ROOT_MEAN_SQUARES else value


def _as_it_was(name, value):
    return tf.sqrt(value) if name in _ROOT_MEAN_SQUARES else value
