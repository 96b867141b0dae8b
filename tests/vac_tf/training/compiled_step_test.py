"""A training step that XLA compiles computes what the plain step computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import RATIO, STRIDE, build_batch, build_network
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.training.consistency_trainer import ConsistencyTrainer

STAR = ("hflip,rotate:1,translate:8:0,scale:16", "star")
GRID = ("hflip,scale:16", "grid")


def build_trainer(transforms, pairs, level="heatmaps", kernel="bilinear", precision="float32"):
    """A trainer that is not compiled, always with the same weights."""
    transforms = parse_transforms(transforms, kernel)
    network = build_network(precision)
    return ConsistencyTrainer(network, RATIO, transforms, pairs=pairs, level=level, stride=STRIDE)


def take_steps(trainer, steps, **options):
    """Terms and weights after some steps of `fit` on one batch."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0)
    trainer.compile(optimizer=optimizer, **options)
    batches = tf.data.Dataset.from_tensors(build_batch()).repeat(steps)
    history = trainer.fit(batches, shuffle=False, verbose=0).history
    return history, [np.asarray(weight) for weight in trainer.weights]


def assert_equal(trainers, steps, tolerance):
    plain, compiled = (
        take_steps(trainer, steps, jit_compile=is_compiled)
        for trainer, is_compiled in zip(trainers, (False, True), strict=True)
    )
    assert plain[0].keys() == compiled[0].keys()
    for name, values in plain[0].items():
        np.testing.assert_allclose(compiled[0][name], values, rtol=tolerance, err_msg=name)
    for weight, expected in zip(compiled[1], plain[1], strict=True):
        np.testing.assert_allclose(weight, expected, rtol=tolerance, atol=tolerance)


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("views", "level", "kernel"),
    [
        (STAR, "features", "bilinear"),
        (GRID, "heatmaps", "nearest"),
        slow(STAR, "heatmaps", "nearest"),
        slow(STAR, "logits", "bilinear"),
        slow(GRID, "features", "bilinear"),
        slow(GRID, "logits", "bilinear"),
        slow(("", "star"), "heatmaps", "bilinear"),
    ],
)
def test_every_transform_at_every_level_compiles(views, level, kernel):
    trainers = [build_trainer(*views, level, kernel) for _ in range(2)]
    assert_equal(trainers, steps=2, tolerance=1e-5)
