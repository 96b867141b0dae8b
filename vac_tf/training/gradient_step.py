"""One training step of any trainer of this library: gradients, coupled decay, running means."""

import tensorflow as tf
from keras import ops

from vac_tf.training.distributed.replica_step import reduce_step, replica_weight


def take_gradient_step(
    trainer, loss_terms, num_examples, coupled_weight_decay: float = 0.0
) -> dict:
    """Moves the trainable weights of a compiled trainer down the gradient of its loss.

    Several replicas move theirs down the gradient of the mean over the examples of all of them.

    Args:
        trainer: compiled `keras.Model`; the loss is scaled as its optimizer asks.
        loss_terms: called once, under the tape; returns a dict of scalars with `loss`, means over
            the examples.
        num_examples: float32 scalar, the examples (of this replica).
        coupled_weight_decay: `decay * weight` is added to the gradient of every trainable weight,
            before momentum, as PyTorch's SGD does. It is no part of the loss.

    Returns:
        What `loss_terms` returned; of several replicas the mean.
    """
    weight = replica_weight(num_examples)
    with tf.GradientTape() as tape:
        terms = loss_terms()
        loss = trainer.optimizer.scale_loss(terms["loss"] * weight)
    variables = trainer.trainable_variables
    gradients = tape.gradient(loss, variables)
    gradients, terms = reduce_step(trainer.network, gradients, terms, weight)
    if coupled_weight_decay:
        # The gradients carry the loss scale of mixed precision; so must the decay.
        decay = trainer.optimizer.scale_loss(ops.convert_to_tensor(coupled_weight_decay))
        gradients = [
            gradient + decay * ops.cast(variable, gradient.dtype)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
    trainer.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return terms


def count_examples(targets):
    """Examples of a batch by its targets `[B, ...]`, a float32 scalar."""
    return ops.cast(ops.shape(targets)[0], "float32")


def update_means(means: dict, terms: dict, num_examples) -> dict:
    """Adds the terms of one batch to the running means, weighted by its examples; returns them."""
    for name, mean in means.items():
        mean.update_state(terms[name], sample_weight=num_examples)
    return {name: mean.result() for name, mean in means.items()}
