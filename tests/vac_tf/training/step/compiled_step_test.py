"""A training step that XLA compiles computes what the plain step computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import RATIO, STRIDE, build_batch, build_network
from vac_tf.configs.classification import TrainConfig
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.losses.saliency import LOSSES
from vac_tf.models import build_classifier, build_dual_stream
from vac_tf.models.computation.fused_batch_norm import BatchNormalization
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.run import run
from vac_tf.training.saliency.trainer import SaliencyTrainer

STAR = ("hflip,rotate:1,translate:8:0,scale:16", "star")
GRID = ("hflip,scale:16", "grid")


def build_trainer(transforms, pairs, level="heatmaps", kernel="bilinear", precision="float32"):
    """A trainer that is not compiled, always with the same weights."""
    transforms = parse_transforms(transforms, kernel)
    network = build_network(precision)
    return ConsistencyTrainer(
        network, RATIO, transforms, Consistency(pairs=pairs, level=level), stride=STRIDE
    )


def fit(trainer, batch, steps, rate, **options):
    """The history of some steps on one batch."""
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=1.0)
    trainer.compile(optimizer=optimizer, **options)
    batches = tf.data.Dataset.from_tensors(batch).repeat(steps)
    return trainer.fit(batches, shuffle=False, verbose=0).history


def weights_of(trainer):
    return [np.asarray(weight) for weight in trainer.weights]


def assert_equal(trainers, steps, tolerance, batch=None, rate=0.05):
    """The plain and the compiled steps give the same terms and weights."""
    plain, compiled = (
        fit(trainer, batch or build_batch(), steps, rate, jit_compile=is_compiled)
        for trainer, is_compiled in zip(trainers, (False, True), strict=True)
    )
    assert plain.keys() == compiled.keys()
    for name, values in plain.items():
        np.testing.assert_allclose(compiled[name], values, rtol=tolerance, err_msg=name)
    for weight, expected in zip(*map(weights_of, reversed(trainers)), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=tolerance, atol=tolerance)


def build_large(backbone, stride):
    keras.utils.set_random_seed(0)
    network = build_classifier(backbone, 3)
    transforms = parse_transforms("hflip,scale:64")
    return ConsistencyTrainer(network, RATIO, transforms, Consistency(pairs="grid"), stride=stride)


@pytest.fixture
def large_batch():
    images = np.random.default_rng(0).uniform(0, 255, (8, 96, 96, 3)).astype("float32")
    return tf.constant(images), tf.concat([build_batch()[1]] * 2, axis=0)


@pytest.mark.slow
def test_ten_steps_of_the_small_network_are_those_of_the_plain_step(large_batch):
    trainers = [build_large("small", 16) for _ in range(2)]
    # The rate of the paper's recipes; at large ones every rounding grows from step to step.
    assert_equal(trainers, steps=10, tolerance=1e-4, batch=large_batch, rate=1e-3)


@pytest.mark.slow
def test_the_first_step_of_resnet50_is_that_of_the_plain_step(large_batch):
    """Later ones part by chaos: an untrained ResNet-50 multiplies every rounding."""
    plain, compiled = (
        fit(build_large("resnet50", 32), large_batch, 1, 1e-3, jit_compile=is_compiled)["loss"][0]
        for is_compiled in (False, True)
    )
    assert compiled == pytest.approx(plain, rel=5e-5)


@pytest.mark.slow
def test_a_compiled_run_resumes_bit_for_bit(tmp_path):
    path, progress = str(tmp_path / "state.npz"), {"epoch": 0, "step": 2, "history": []}
    progress |= {"best": {}, "best_epoch": 0, "winner": ""}
    whole, first, second = (build_trainer(*STAR) for _ in range(3))
    fit(whole, build_batch(), 4, 0.05, jit_compile=True)
    fit(first, build_batch(), 2, 0.05, jit_compile=True)
    save_state(path, first, progress)
    fit(
        second, build_batch(), 1, 0.05, jit_compile=True
    )  # Other weights, before they are restored.
    load_state(path, second)
    rest = tf.data.Dataset.from_tensors(build_batch()).repeat(2)
    second.fit(rest, shuffle=False, verbose=0)
    for value, expected in zip(*map(weights_of, (second, whole)), strict=True):
        np.testing.assert_array_equal(value, expected)


def build_stream(channels, stride):
    images = keras.Input((None, None, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(channels, stride, strides=stride)(features)
    return keras.Model(images, keras.layers.BatchNormalization()(features))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["features", "heatmaps"])
def test_streams_of_two_grids_compile(level):
    def build():
        keras.utils.set_random_seed(0)
        network = build_dual_stream(build_stream(5, 4), build_stream(7, 8), 3)
        transforms = parse_transforms("hflip,scale:16")
        return ConsistencyTrainer(network, RATIO, transforms, Consistency(level=level), stride=4)

    assert_equal([build(), build()], steps=2, tolerance=1e-5)


@pytest.mark.slow
def test_every_loss_of_the_saliency_network_compiles():
    def build():
        keras.utils.set_random_seed(0)
        images = keras.Input((24, 24, 3))
        features = BatchNormalization()(keras.layers.Rescaling(1 / 255)(images))
        network = keras.Model(images, {"saliency": keras.layers.Conv2D(1, 8, 8)(features)})
        return SaliencyTrainer(network, dict.fromkeys(LOSSES, 1.0))

    targets = np.random.default_rng(0).random((4, 6, 6, 2)).astype("float32")
    targets[..., 0] /= targets[..., 0].sum(axis=(1, 2), keepdims=True)
    targets[..., 1] = targets[..., 1] > 0.8
    batch = build_batch()[0], tf.constant(targets)
    assert_equal([build(), build()], steps=2, tolerance=1e-5, batch=batch)


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


@pytest.mark.slow
def test_a_run_takes_all_settings_of_the_step_together(tiny_settings, tiny_backbone, tmp_path):
    settings = {**tiny_settings, "batch_size": 10, "backbone": tiny_backbone}  # 10, ..., 10, 8.
    account = run(
        TrainConfig(
            run_dir=str(tmp_path / "run"),
            **settings,
            jit_compile="on",
            steps_per_execution=2,
            accumulate_steps=2,
        )
    )
    assert (account["epochs"], account["steps"]) == (2, 10)
