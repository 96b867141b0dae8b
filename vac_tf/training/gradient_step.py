"""One training step of any trainer of this library: gradients, coupled decay, running means."""

import tensorflow as tf
from keras import ops

from vac_tf.training.distributed.replica_step import reduce_step, replica_weight
from vac_tf.training.step.accumulation import accumulated_gradients


def take_gradient_step(trainer, loss_terms, batch, coupled_weight_decay: float = 0.0) -> dict:
    """Moves the trainable weights of a compiled trainer down the gradient of its loss.

    Several replicas move theirs down the gradient of the mean over the examples of all of them.

    Args:
        trainer: compiled `CompiledTrainer`; the loss is scaled as its optimizer asks.
        loss_terms: traced once, under the tape, with the parts of `batch`; returns a dict of
            scalars with `loss`, means over the examples.
        batch: (images, targets) or (images, targets, sample weights), `[B, ...]` (of this replica).
        coupled_weight_decay: `decay * weight` is added to the gradient of every trainable weight,
            before momentum, as PyTorch's SGD does. It is no part of the loss.

    Returns:
        What `loss_terms` returned; of several replicas the mean.
    """
    weight = replica_weight(count_examples(batch[-1]))
    variables = trainer.trainable_variables

    def gradients_of(*part):
        with tf.GradientTape() as tape:
            terms = loss_terms(*part)
            loss = trainer.optimizer.scale_loss(terms["loss"] * weight)
        return terms, tape.gradient(loss, variables)

    terms, gradients = accumulated_gradients(gradients_of, batch, trainer.accumulate_steps)
    gradients, terms = reduce_step(trainer.network, gradients, terms, weight)
    if coupled_weight_decay:
        # The gradients carry the loss scale of mixed precision; so must the decay.
        decay = trainer.optimizer.scale_loss(ops.convert_to_tensor(coupled_weight_decay))
        gradients = [
            None if gradient is None else gradient + decay * ops.cast(variable, gradient.dtype)
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
