"""One of several transforms a step, drawn by seed and step."""

import tensorflow as tf
from keras import ops

from vac_tf.geometry.transforms import Transform


def draw(seed: int, step, number: int):
    """An int32 scalar below `number`, each with the same probability.

    It depends on the arguments only: the parts and the replicas of a step draw the same, and so
    does a run that is continued, on any device.

    Args:
        seed: of the run, at least 0.
        step: integer scalar.
        number: at least 1.
    """
    seeds = tf.stack([tf.constant(seed, tf.int64), ops.cast(step, "int64")])
    # Unnamed, the algorithm of a step that XLA compiles is another one.
    return tf.random.stateless_uniform((), seeds, 0, number, tf.int32, alg="philox")


def check_drawing(transforms: tuple[Transform, ...], pairs: str) -> None:
    """Raises ValueError unless there are several transforms, each with a view of its own."""
    if pairs != "star" or len(transforms) < 2:
        raise ValueError(
            "sampled_transform draws one of several transforms a step, each compared with the"
            f" original: it needs pairs='star' and two transforms at least, got pairs {pairs!r} and"
            f" {[t.spec for t in transforms]}; add transforms or leave it out."
        )
