"""A frozen backbone does not move at all, then learns; a run continues across the boundary."""

import contextlib
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import build_batch, build_network, build_trainer
from vac_tf.configs.classification import TrainConfig
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.dual_stream.phases import phase_config
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.fine_tuning.backbone_rate import backbone_rate
from vac_tf.training.fine_tuning.frozen_backbone import freeze_backbone
from vac_tf.training.resume import every_variable
from vac_tf.training.run import freeze_or_release
from vac_tf.training.step.compiling import compile_trainer
from vac_tf.training.weight_average import averaged_weights

STEPS = 3


class Batches:
    """`STEPS` equal batches an epoch."""

    steps_per_epoch = STEPS

    def epoch(self, epoch, start_step=0):
        return tf.data.Dataset.from_tensors(build_batch()).repeat(STEPS - start_step)


DATA = types.SimpleNamespace(training=Batches(), naming_bad_images=contextlib.nullcontext)


def config_of(tmp_path, name="run", **changes):
    settings = {"epochs": 3, "frozen_epochs": 1, "ema_decay": 0.9, "weight_decay": 0.1}
    return TrainConfig(run_dir=str(tmp_path / name), **settings | changes)


def states_of(config, stop_after=None):
    """Every variable at the start and after each epoch; the run is stopped in that validation."""
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    # As a run has it: fused batch normalisation, and stock layers in the file.
    network = rebuild_network(build_network(), fused=True)
    trainer = build_trainer(network=network)
    compile_trainer(config, trainer, STEPS, backbone=backbone_rate(config, network, STEPS))
    states = [[np.asarray(v) for v in every_variable(trainer)]]

    def validate(progress):
        states.append([np.asarray(v) for v in every_variable(trainer)])
        if config.ema_decay:
            with averaged_weights(trainer, DATA.training.epoch(0)):
                assert np.isfinite(trainer.network(build_batch()[0])["logits"]).all()
        if progress["epoch"] == stop_after:
            raise KeyboardInterrupt
        return {"validation_loss": 1.0}

    with contextlib.suppress(KeyboardInterrupt):
        run_epochs(
            TrainingRun(
                *(config, folder, trainer, DATA, validate, str),
                before_epoch=lambda epoch: freeze_or_release(config, trainer, epoch),
            )
        )
    return trainer, states


def backbone_of(trainer, state):
    """The weights and statistics before the head, of a state."""
    head = {id(v) for v in trainer.network.get_layer("cam_head").variables}
    numbers = range(len(trainer.network.variables))
    variables = every_variable(trainer)
    return [state[n] for n in numbers if id(variables[n]) not in head]


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_what_is_frozen_does_not_move_and_then_does(tmp_path, optimizer):
    config = config_of(tmp_path, optimizer=optimizer, epochs=2, ema_decay=0.0)
    trainer, states = states_of(config)
    start, frozen, released = (backbone_of(trainer, state) for state in states)
    assert len(start) == 6  # Kernel, bias, scale, offset, mean and variance.
    for before, after in zip(start, frozen, strict=True):
        np.testing.assert_array_equal(before, after)
    moved = [not np.array_equal(*pair) for pair in zip(frozen, released, strict=True)]
    assert sum(moved) >= 5  # A bias before batch normalisation has no gradient.
    heads = [state[6] for state in states]
    assert all(not np.array_equal(*pair) for pair in zip(heads, heads[1:], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [0, 1])
def test_a_run_that_was_stopped_at_the_boundary_equals_one_that_was_not(tmp_path, stop_after):
    _, whole = states_of(config_of(tmp_path))
    stopped = config_of(tmp_path, "stopped")
    states_of(stopped, stop_after)
    _, rest = states_of(stopped)
    for value, expected in zip(rest[-1], whole[-1], strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_that_xla_compiles_are_those_of_the_plain_step(tmp_path, optimizer):
    settings = {"optimizer": optimizer, "backbone_learning_rate_scale": 0.1, "epochs": 2}
    (_, plain), (_, compiled) = (
        states_of(config_of(tmp_path, name, jit_compile=name, **settings)) for name in ("off", "on")
    )
    for value, expected in zip(compiled[-1], plain[-1], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)


def test_a_frozen_step_is_that_of_a_network_without_gradients_before_the_head(tmp_path):
    """Clipping goes by the head's gradient alone, and the features are those of inference."""
    images, labels = build_batch()
    config = config_of(
        tmp_path, optimizer="sgd", weight_decay=0.0, gradient_clip_norm=0.01, momentum=0.0
    )
    network = build_network()
    trainer = build_trainer(network=network)
    compile_trainer(config, trainer, STEPS, backbone=backbone_rate(config, network, STEPS))
    freeze_backbone(trainer, True)
    head = network.get_layer("cam_head").trainable_variables
    with tf.GradientTape() as tape:
        loss = trainer.loss_terms(images, labels, training=False)["loss"]
    gradients = [g.numpy() for g in tape.gradient(loss, [v.value for v in head])]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    before = [np.asarray(variable) for variable in head]
    trainer.train_step((images, labels))
    assert norm > 0.01
    rate = float(trainer.optimizer.learning_rate)
    for variable, start, gradient in zip(head, before, gradients, strict=True):
        expected = start - config.learning_rate * gradient * 0.01 / norm
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-7)
    assert rate < config.learning_rate


def test_the_phases_over_both_streams_have_no_frozen_epochs(tmp_path):
    config = config_of(tmp_path, model="dual_stream", branch_initialization="backbone_weights")
    frozen = {phase: phase_config(config, phase).frozen_epochs for phase in ("1a", "1b", "2", "3")}
    assert frozen == {"1a": 1, "1b": 1, "2": 0, "3": 0}
