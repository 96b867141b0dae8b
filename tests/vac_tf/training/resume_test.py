"""The state of a run: every variable comes back bit for bit, or the previous state stays."""

import errno
import os

import keras
import numpy as np
import pytest

from vac_tf.models.cam_head import CAMHead
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.weight_average import averaged_weights, keep_weights_apart

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
LABELS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], "float32")

PROGRESS = {"epoch": 2, "step": 3, "history": [{"loss": 0.1}], "best": {"raw": 0.25}}
PROGRESS |= {"best_epoch": 1, "winner": "raw"}


def build_trainer(seed, channels=3, precision="float32"):
    """A trainer with everything that has a state: batch statistics, dropout, averages, means."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(channels, 4, strides=4)(images)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.Dropout(0.5)(features)
    network = keras.Model(images, CAMHead(2, name="cam_head")(features))
    trainer = ConsistencyTrainer(network, np.array([0.5, 0.5]), stride=4)
    optimizer = keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer)
    return trainer


def train(trainer, steps):
    for _ in range(steps):
        trainer.train_step((IMAGES, LABELS))
    every = [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]
    return [np.asarray(variable) for variable in every]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_continued_run_is_bitwise_equal(tmp_path, precision):
    path = str(tmp_path / "state.npz")
    uninterrupted = train(build_trainer(1, precision=precision), 7)
    first = build_trainer(1, precision=precision)
    train(first, 3)
    save_state(path, first, PROGRESS)
    second = build_trainer(2, precision=precision)
    assert load_state(path, second) == PROGRESS
    for value, expected in zip(train(second, 4), uninterrupted, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_keeps_the_previous_state(tmp_path, monkeypatch, failing):
    path = str(tmp_path / "state.npz")
    trainer = build_trainer(1)
    save_state(path, trainer, PROGRESS)
    expected = [np.asarray(variable) for variable in trainer.variables]
    train(trainer, 1)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(
            OSError, match="No space left on device: the state .* is whole"
        ) as error:
            save_state(path, trainer, {"step": 2})
    assert error.value.errno == errno.ENOSPC and error.value.filename == path
    assert os.listdir(tmp_path) == ["state.npz"]
    other = build_trainer(2)
    assert load_state(path, other) == PROGRESS
    for variable, value in zip(other.variables, expected, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_state_of_another_network_is_refused(tmp_path):
    path = str(tmp_path / "state.npz")
    trainer = build_trainer(1)
    save_state(path, trainer, PROGRESS)
    with pytest.raises(ValueError, match=r"state\.npz .*Start in a new --run_dir"):
        load_state(path, build_trainer(1, channels=5))
    trainer.compile(optimizer=keras.optimizers.SGD())
    trainer.optimizer.build(trainer.trainable_variables)
    with pytest.raises(ValueError, match=r"holds \d+ variables, the run has \d+"):
        load_state(path, trainer)


def test_a_damaged_state_is_named(tmp_path):
    path = tmp_path / "state.npz"
    save_state(str(path), build_trainer(1), PROGRESS)
    whole = path.read_bytes()
    for contents in (b"", whole[: len(whole) // 2], b"no archive"):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=r"state\.npz cannot be read"):
            load_state(str(path), build_trainer(1))


def test_a_missing_state_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_state(str(tmp_path / "state.npz"), build_trainer(1))


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_averaged_weights_are_there_for_a_while(precision):
    trainer = build_trainer(1, precision=precision)
    keep_weights_apart(trainer.optimizer)
    average = None
    for _ in range(4):
        train(trainer, 1)
        weights = [np.asarray(variable) for variable in trainer.trainable_variables]
        # Averages begin as the weights of the first step.
        average = average or weights
        average = [0.9 * old + 0.1 * new for old, new in zip(average, weights, strict=True)]
    with averaged_weights(trainer):
        for variable, expected in zip(trainer.trainable_variables, average, strict=True):
            np.testing.assert_allclose(variable, expected, rtol=1e-4, atol=1e-6)
    for variable, expected in zip(trainer.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_fit_leaves_weights_and_averages_apart():
    trainer = build_trainer(1)
    keep_weights_apart(trainer.optimizer)
    trainer.fit(IMAGES, LABELS, batch_size=2, verbose=0)
    weights = [np.asarray(variable) for variable in trainer.trainable_variables]
    with averaged_weights(trainer):
        averages = [np.asarray(variable) for variable in trainer.trainable_variables]
    assert all(not np.array_equal(a, b) for a, b in zip(weights, averages, strict=True))


def test_averaged_weights_come_with_batch_statistics_of_their_own():
    trainer = build_trainer(1)
    keep_weights_apart(trainer.optimizer)
    train(trainer, 4)
    _, convolution, normalization, *_ = trainer.network.layers
    raw = [np.asarray(variable) for variable in normalization.weights]
    batches = [(IMAGES[:2], LABELS[:2]), (IMAGES[2:], LABELS[2:])]
    with averaged_weights(trainer, batches):
        features = [np.asarray(convolution(images)) for images, _ in batches]
        mean = np.mean([part.mean(axis=(0, 1, 2)) for part in features], axis=0)
        variance = np.mean([part.var(axis=(0, 1, 2)) for part in features], axis=0)
        np.testing.assert_allclose(normalization.moving_mean, mean, rtol=1e-4)
        np.testing.assert_allclose(normalization.moving_variance, variance, rtol=1e-4)
    for variable, expected in zip(normalization.weights, raw, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_weights_come_back_after_an_error():
    trainer = build_trainer(1)
    train(trainer, 2)
    weights = [np.asarray(variable) for variable in trainer.trainable_variables]
    with pytest.raises(KeyError), averaged_weights(trainer):
        raise KeyError("while it was scored")
    for variable, expected in zip(trainer.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_a_full_disk_at_the_first_save_speaks_of_no_previous_state(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left.*there is no earlier one"):
        save_state(str(tmp_path / "state.npz"), build_trainer(1), {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("progress", [{}, [], None, {"epoch": "two"}])
def test_a_state_without_its_progress_is_damaged(tmp_path, progress):
    path = str(tmp_path / "state.npz")
    save_state(path, build_trainer(1), progress)
    with pytest.raises(ValueError, match=r"state\.npz cannot be read as the state of a run"):
        load_state(path, build_trainer(1))
