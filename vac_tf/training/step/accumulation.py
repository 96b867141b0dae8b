"""The gradient of a batch, part by part: the memory of one part holds the activations."""

import tensorflow as tf
from keras import ops


def accumulated_gradients(gradients_of, batch: tuple, num_parts: int):
    """The terms and gradients of a batch, the means over its examples, computed in parts.

    A network without batch normalisation and dropout gets the gradients of the whole batch. Batch
    normalisation takes its statistics over each part, and moves them once a part, as for a batch
    of that size.

    Args:
        gradients_of: `(*batch) -> (terms, gradients)`, means over the examples that it is given; a
            gradient may be None.
        batch: nested tensors `[B, ...]`, B at least `num_parts`.
        num_parts: whose sizes differ by 1 at most.

    Returns:
        As `gradients_of`. `heatmap_size`, a root, is the mean of those of the parts.
    """
    if num_parts == 1:
        return gradients_of(*batch)
    # Traced once, for parts of any size.
    signature = tf.nest.map_structure(
        lambda values: tf.TensorSpec((None, *values.shape[1:]), values.dtype), batch
    )
    gradients_of = tf.function(gradients_of, input_signature=signature, autograph=False)
    size = tf.shape(tf.nest.flatten(batch)[0])[0]
    sums = None
    for number in range(num_parts):
        start, end = size * number // num_parts, size * (number + 1) // num_parts
        part = tf.nest.map_structure(lambda values, s=start, e=end: values[s:e], batch)
        # Side by side they would need the memory of all of them.
        with tf.control_dependencies([] if sums is None else _tensors(sums)):
            part = tf.nest.map_structure(tf.identity, part)
        share = ops.cast(end - start, "float32") / ops.cast(size, "float32")
        means = _map(lambda value, share=share: value * share, gradients_of(*part))
        sums = means if sums is None else _map(tf.add, sums, means)
    return sums


def check_parts(num_parts: int, smallest_batch: int) -> None:
    """Raises ValueError when a batch of so many examples cannot be computed in parts."""
    if smallest_batch < num_parts:
        raise ValueError(
            f"The last batch of an epoch has {smallest_batch} images, fewer than the"
            f" {num_parts} parts of --accumulate_steps: leave it out with --drop_remainder, or use"
            " another --batch_size."
        )


def _map(function, *structures):
    """`tf.nest.map_structure` that leaves None, the gradient of an unused weight."""
    return tf.nest.map_structure(
        lambda *values: None if values[0] is None else function(*values), *structures
    )


def _tensors(structure):
    return [value for value in tf.nest.flatten(structure) if value is not None]
