"""Random decisions of augmentation, which depend on seed, epoch and example alone."""

import tensorflow as tf


def seed_of(seed, epoch, example, number):
    """A stateless seed `[2]` for one decision about one example of one epoch."""
    mixed = tf.random.experimental.stateless_fold_in(tf.constant([seed, epoch], tf.int64), example)
    return tf.random.experimental.stateless_fold_in(mixed, number)


def is_chosen(seed):
    """True for one seed in two."""
    return tf.random.stateless_uniform([], seed) < 0.5


def maybe(seed, transform, image):
    """The image `[H, W, 3]`, for one seed in two transformed."""
    return tf.cond(is_chosen(seed), lambda: alone(transform, image), lambda: image)


def alone(transform, image):
    """A transform of an image `[H, W, 3]` that is no batch."""
    return transform.images(image[None])[0]
