"""A run whose newest state is damaged goes on from the one before, and ends just the same."""

import dataclasses
import logging
import os
import types
import zipfile

import pytest

from tests.vac_tf.runs.states_test import cut, damage, empty, flip
from tests.vac_tf.training.epochs.broken_runs import (
    StopsNowError,
    assert_equal_states,
    stop_after,
)
from tests.vac_tf.training.epochs.loop_test import DATA, STEPS, Parabola
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.states import NoWholeStateError, states_beside
from vac_tf.training import kept_networks
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.kept_networks import Selection, keep_best
from vac_tf.training.step.compiling import compile_trainer

NONE_KEPT = {"validation_loss": 1.0}


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.1,
        ema_decay=0.5,
        epochs=3,
        checkpoint_seconds=0.0,
    )


def train(config, validate=lambda progress: NONE_KEPT):
    folder = RunFolder(config.run_dir)
    with folder.claimed(config):
        trainer = Parabola()
        compile_trainer(config, trainer, STEPS)
        return run_epochs(TrainingRun(config, folder, trainer, DATA, validate, describe=str))


def files_of(config):
    folder = RunFolder(config.run_dir).file("last")
    return {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}


@pytest.mark.parametrize("how", [cut, empty, flip])
def test_it_goes_on_from_the_state_before(config, tmp_path, caplog, how):
    caplog.set_level(logging.INFO)
    train(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    stop_after(8, train, broken)  # 6 states of the first epoch, 2 of the second.
    damage(RunFolder(broken.run_dir).state_file, how)
    train(broken)
    named = "\n".join(caplog.messages)
    assert "broken/last/state.npz cannot be used: it" in named
    assert "goes on from" in named and "last/earlier_1.npz, epoch 2, step 1;" in named
    assert_equal_states(config.run_dir, broken.run_dir)
    assert sorted(files_of(broken)) == ["earlier_1.npz", "good.npz", "state.npz"]


def test_a_kill_right_after_such_a_start_changes_nothing(config, tmp_path):
    train(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    stop_after(9, train, broken)
    damage(RunFolder(broken.run_dir).state_file, cut)

    def stop_at_once(progress):
        raise StopsNowError

    with pytest.raises(StopsNowError):
        train(dataclasses.replace(broken, checkpoint_seconds=1e9), stop_at_once)
    train(broken)
    assert_equal_states(config.run_dir, broken.run_dir)


def test_the_state_of_the_last_epoch_is_the_last_resort(config, tmp_path, caplog):
    train(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    stop_after(9, train, broken)
    for file in states_beside(RunFolder(broken.run_dir).state_file)[:2]:
        damage(file, flip)
    train(broken)
    assert "last/good.npz, epoch 2, step 0;" in "\n".join(caplog.messages)
    assert_equal_states(config.run_dir, broken.run_dir)


def test_without_a_whole_state_nothing_is_trained_and_nothing_deleted(config):
    stop_after(8, train, config)
    for file in states_beside(RunFolder(config.run_dir).state_file):
        damage(file, cut)
    before = files_of(config)
    with pytest.raises(
        NoWholeStateError, match=r"(?s)state\.npz: it.*earlier_1\.npz: it.*good\.npz"
    ):
        train(config)
    # With another setting, the states are looked at before the folder is claimed.
    with pytest.raises(NoWholeStateError, match="nothing was deleted"):
        train(dataclasses.replace(config, epochs=4))
    assert files_of(config) == before


def test_a_network_of_epochs_that_are_lost_is_replaced(config, monkeypatch):
    """The epochs that are done again need not be bit for bit what they were: as on a GPU."""

    def write(network, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights", f"{path} {os.urandom(8)}")

    monkeypatch.setattr(kept_networks, "save_network", write)
    config = dataclasses.replace(config, ema_decay=0.0)
    scores = [0.5, 0.9, 0.3]

    def validate(progress):
        selection = Selection("validation_mAP", lambda _: scores[progress["epoch"]], "val split")
        trainer, folder = types.SimpleNamespace(network=None), RunFolder(config.run_dir)
        logs = keep_best(config, folder, trainer, progress, selection, DATA.training.epoch(0))
        return NONE_KEPT | logs

    stop_after(12, lambda each: train(each, validate), config)  # At the end of the second epoch.
    folder = RunFolder(config.run_dir)
    for file in (folder.state_file, *states_beside(folder.state_file)[1:2]):
        damage(file, cut)
    scores[1] = 0.4
    progress = train(config, validate)
    assert progress["best"] == {"raw": 0.4} and progress["best_epoch"] == 2
    assert folder.read_json("selection.json")["validation_mAP"] == 0.4
