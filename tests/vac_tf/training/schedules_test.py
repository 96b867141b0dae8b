"""Learning rate schedules against their formulas, and optimizers as their config says."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from tests.vac_tf.small_trainer import build_network
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.schedules import Schedule, build_optimizer, build_schedule
from vac_tf.training.step.compiling import compile_trainer

STEPS = 40


def rates(schedule, steps=range(STEPS + 1)):
    return np.array([float(schedule(step)) for step in steps])


def test_constant():
    np.testing.assert_allclose(rates(Schedule("constant", 0.1, STEPS)), 0.1, rtol=1e-6)


def test_step_drops_by_the_factor():
    schedule = Schedule("step", 0.1, STEPS, step_steps=7, factor=0.5)
    expected = [0.1 * 0.5 ** (step // 7) for step in range(STEPS + 1)]
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-6)


def test_cosine_falls_from_the_peak_to_zero():
    expected = [0.05 * (1 + math.cos(math.pi * step / STEPS)) for step in range(STEPS + 1)]
    result = rates(Schedule("cosine", 0.1, STEPS))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-8)
    assert float(Schedule("cosine", 0.1, STEPS)(STEPS + 5)) == pytest.approx(0.0, abs=1e-8)


def test_one_cycle_rises_to_the_peak_at_30_percent_and_falls_to_almost_nothing():
    def expected(step):
        start, peak, end = 0.1 / 25, 0.1, 0.1 / 250_000
        if step < 12:
            return peak + (start - peak) * (1 + math.cos(math.pi * step / 12)) / 2
        return end + (peak - end) * (1 + math.cos(math.pi * (step - 12) / 28)) / 2

    result = rates(Schedule("one_cycle", 0.1, STEPS))
    np.testing.assert_allclose(
        result, [expected(step) for step in range(STEPS + 1)], rtol=1e-4, atol=1e-8
    )
    assert result.argmax() == 12


@pytest.mark.parametrize("kind", ["constant", "cosine", "one_cycle", "step"])
def test_warm_up_is_linear_and_comes_out_of_the_total(kind):
    schedule = Schedule(kind, 0.1, STEPS, warmup_steps=8, step_steps=10)
    warm = rates(schedule)
    np.testing.assert_allclose(warm[:8], 0.1 * np.arange(1, 9) / 8, rtol=1e-6)
    if kind == "step":
        # The drops stay where the epochs are.
        np.testing.assert_allclose(warm[[8, 9, 10, 20]], [0.1, 0.1, 0.05, 0.025], rtol=1e-6)
    else:
        rest = rates(Schedule(kind, 0.1, STEPS - 8))
        np.testing.assert_allclose(warm[8:], rest[: STEPS - 7], rtol=1e-5, atol=1e-8)


def test_schedule_is_rebuilt_from_its_config():
    schedule = Schedule("one_cycle", 0.1, STEPS, 3, 5, 0.25)
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert rebuilt.get_config() == schedule.get_config()
    np.testing.assert_array_equal(rates(rebuilt), rates(schedule))


def test_unknown_schedule_lists_the_known_ones():
    with pytest.raises(ValueError, match="Unknown schedule 'linear'. .*constant, step, cosine"):
        Schedule("linear", 0.1, STEPS)


def test_schedule_of_a_config_counts_in_epochs():
    config = TrainConfig(
        schedule="step",
        learning_rate=1e-3,
        schedule_step_epochs=3,
        schedule_step_factor=0.5,
        epochs=12,
        warmup_epochs=0.5,
    )
    schedule = build_schedule(config, steps_per_epoch=10)
    assert (schedule.total_steps, schedule.warmup_steps, schedule.step_steps) == (120, 5, 30)
    at_epochs = rates(schedule, range(10, 120, 10))
    expected = [1e-3 * 0.5 ** (epoch // 3) for epoch in range(1, 12)]
    np.testing.assert_allclose(at_epochs, expected, rtol=1e-6)


def test_no_drops_at_all_are_refused():
    with pytest.raises(ValueError, match="schedule_step_epochs must be at least 1, got 0"):
        TrainConfig(schedule_step_epochs=0)


def test_sgd_leaves_the_coupled_decay_to_the_trainer():
    config = TrainConfig(
        optimizer="sgd", momentum=0.8, nesterov=True, weight_decay=5e-4, gradient_clip_norm=2.0
    )
    optimizer = build_optimizer(config, 10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.nesterov) == (0.8, True)
    assert optimizer.weight_decay is None and optimizer.global_clipnorm == 2.0
    assert not optimizer.use_ema


def test_adamw_decays_by_itself_and_keeps_averages():
    optimizer = build_optimizer(TrainConfig(weight_decay=0.05, ema_decay=0.99), 10)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 0.05 and optimizer.global_clipnorm is None
    assert optimizer.use_ema and optimizer.ema_momentum == 0.99


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_adamw_decays_kernels_only(precision):
    trainer = ConsistencyTrainer(build_network(), np.full(3, 0.5))
    config = TrainConfig(
        weight_decay=0.1, learning_rate=0.5, schedule="constant", precision=precision
    )
    assert not config.decay_all_weights
    compile_trainer(config, trainer, 4)
    assert decayed(trainer) == {"kernel": 0.95, "bias": 1.0, "gamma": 1.0, "beta": 1.0}
    trainer = ConsistencyTrainer(build_network(), np.full(3, 0.5))
    compile_trainer(dataclasses.replace(config, decay_all_weights=True), trainer, 4)
    assert set(decayed(trainer).values()) == {0.95}


def decayed(trainer):
    """What a step without any gradient leaves of weights of 1, by their name."""
    weights = trainer.trainable_variables
    for weight in weights:
        weight.assign(keras.ops.ones_like(weight))
    trainer.optimizer.apply_gradients(
        [(keras.ops.zeros_like(weight), weight) for weight in weights]
    )
    return {weight.name: round(float(np.ravel(weight)[0]), 6) for weight in weights}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_every_optimizer_takes_a_step_with_every_schedule(optimizer, schedule, precision):
    config = TrainConfig(
        optimizer=optimizer,
        schedule=schedule,
        precision=precision,
        weight_decay=1e-4,
        gradient_clip_norm=1.0,
        warmup_epochs=1.0,
        ema_decay=0.9,
    )
    built = build_optimizer(config, 4)
    is_scaled = isinstance(built, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (precision == "mixed_float16")
    weight = keras.Variable(np.ones(3, "float32"))
    built.build([weight])
    built.apply_gradients([(built.scale_loss(keras.ops.ones(3)), weight)])
    assert (keras.ops.convert_to_numpy(weight) < 1.0).all()
    assert int(built.iterations) == 1
    assert float(built.learning_rate) == pytest.approx(2e-3 * 2 / 4, rel=1e-5)
