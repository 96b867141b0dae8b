"""A run that is followed: points within an epoch, lines of progress, and a run that goes on."""

import contextlib
import dataclasses
import io
import signal

import numpy as np
import pytest

from tests.vac_tf.event_reader import steps, values
from tests.vac_tf.training.epochs.loop_test import DATA, STEPS, Parabola, log_of
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.training.callbacks import TrainingInterrupted
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.following import progress as progress_lines
from vac_tf.training.following.board import Board
from vac_tf.training.following.progress import Console, clock
from vac_tf.training.step.compiling import compile_trainer


class Terminal(io.StringIO):
    """A terminal that notes what is written to it."""

    def isatty(self):
        return True


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        learning_rate=0.25,
        epochs=2,
        checkpoint_seconds=0.0,
        tensorboard=True,
        tensorboard_steps=2,
    )


def train(config):
    """Trains w from 1, which each step halves: the losses are 1, 1/4, 1/16 and so on."""
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    trainer = Parabola()
    compile_trainer(config, trainer, STEPS)
    board = Board(folder, STEPS, ("loss", "a_term")) if config.tensorboard else None
    try:
        run_epochs(
            TrainingRun(
                config,
                folder,
                trainer,
                DATA,
                lambda progress: {"validation_loss": 1.0},
                describe=lambda row: f"loss {row['loss']:.3f}",
                board=board,
            )
        )
    finally:
        if board:
            board.close()
    return folder.file("tensorboard/train")


def terminated(config, monkeypatch):
    """Starts a run that is stopped after the first execution of its second epoch."""
    epochs = []

    @contextlib.contextmanager
    def stop_in_the_second_epoch():
        epochs.append(1)
        if len(epochs) == 2:
            signal.raise_signal(signal.SIGTERM)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(DATA, "naming_bad_images", stop_in_the_second_epoch)
        with pytest.raises(TrainingInterrupted):
            train(config)


def test_points_within_an_epoch_are_means_over_the_steps_since_the_last_one(config):
    train_folder = train(config)
    losses = 0.25 ** np.arange(8)
    assert steps(train_folder, "within_epoch/loss") == [2, 4, 6, 8]
    np.testing.assert_allclose(
        values(train_folder, "within_epoch/loss"), losses.reshape(4, 2).mean(axis=1), rtol=1e-3
    )
    assert values(train_folder, "within_epoch/learning_rate") == [0.25] * 4
    speeds = values(train_folder, "within_epoch/images_per_second")
    assert len(speeds) == 4 and min(speeds) > 0
    assert all(0 <= share <= 1 for share in values(train_folder, "within_epoch/data_wait_share"))
    assert [float(row["images_per_second"]) > 0 for row in log_of(config)] == [True, True]


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [1, 2, 3, 4]), (3, [4]), (2, [2, 4]), (99, [4])]
)
def test_the_last_point_of_an_epoch_is_not_of_a_few_steps(config, every, expected):
    config = dataclasses.replace(config, epochs=1, tensorboard_steps=every)
    assert steps(train(config), "within_epoch/loss") == expected


def test_several_steps_an_execution_have_a_point_each_time(config):
    config = dataclasses.replace(config, steps_per_execution=3)
    assert steps(train(config), "within_epoch/loss") == [3, 4, 7, 8]


def test_a_run_that_goes_on_has_the_points_of_one_that_was_not_stopped(
    config, tmp_path, monkeypatch
):
    expected = train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))
    terminated(config, monkeypatch)
    continued = train(config)
    for tag in ("within_epoch/loss", "loss/loss", "optimizer/learning_rate", "pace/seconds"):
        assert steps(continued, tag) == steps(expected, tag)
    assert values(continued, "loss/loss") == pytest.approx(values(expected, "loss/loss"))


def test_nothing_is_written_for_tensorboard_unless_it_is_asked_for(config, tmp_path):
    train(dataclasses.replace(config, tensorboard=False, tensorboard_steps=20))
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_following_changes_nothing(config, tmp_path):
    train(config)
    other = dataclasses.replace(
        config, run_dir=str(tmp_path / "other"), tensorboard=False, tensorboard_steps=20
    )
    train(other)
    states = [dict(np.load(RunFolder(each.run_dir).state_file)) for each in (config, other)]
    for state in states:
        state.pop("progress")
    np.testing.assert_equal(*states)


# ---- Lines


def test_python_without_logging_gets_lines_all_the_same(config, capsys):
    train(dataclasses.replace(config, progress_steps=2))
    lines = capsys.readouterr().err.splitlines()
    within = [line for line in lines if ", step " in line]
    assert [line.split(", ")[1] for line in within] == ["step 2/4", "step 4/4"] * 2
    assert " images/s, " in within[0] and " left (run " in within[0]
    assert ", a_term 0.5000, loss 0.6250" in within[0]
    assert [line for line in lines if line.startswith("Epoch 2/2: loss 0.001; ")]


def test_quiet_runs_say_nothing(config, capsys):
    train(dataclasses.replace(config, progress_steps=-1))
    assert capsys.readouterr().err == ""


def test_with_logging_they_are_records_of_the_log(config, caplog, capsys):
    with caplog.at_level("INFO", "vac_tf"):
        train(dataclasses.replace(config, progress_steps=4))
    said = [record.message for record in caplog.records]
    assert sum(", step 4/4, " in message for message in said) == 2
    assert capsys.readouterr().err == ""


def test_lines_come_by_time_where_no_steps_are_named(config, capsys, monkeypatch):
    train(config)
    assert ", step " not in capsys.readouterr().err
    monkeypatch.setattr(progress_lines, "_SECONDS_IN_LOG", 0.0)
    config = dataclasses.replace(config, epochs=3)
    train(config)
    assert capsys.readouterr().err.count(", step ") == STEPS


def test_a_terminal_has_one_line_that_is_rewritten(config, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress_lines.sys, "stderr", terminal)
    monkeypatch.setattr(progress_lines, "_SECONDS_ON_TERMINAL", 0.0)
    monkeypatch.setenv("COLUMNS", "60")
    train(config)
    shown = terminal.getvalue().split("\n")
    assert [line.rpartition("\r")[2].partition(":")[0] for line in shown] == [
        "Epoch 1/2",
        "Epoch 2/2",
        "",
    ]
    rewritten = shown[0].split("\r")
    assert all(len(line) <= 59 for line in rewritten[:-1])
    assert rewritten[1].startswith("Epoch 1/2, step 1/4") and rewritten[2].strip().endswith("…")
    assert "validation ..." in rewritten[5] and not rewritten[6].strip()


def test_an_error_begins_on_a_line_of_its_own():
    terminal = Terminal()
    console = Console(stream=terminal)
    with pytest.raises(KeyError), console.cleared_at_the_end():
        console.rewrite("step 3")
        raise KeyError
    assert terminal.getvalue().endswith(" \r")


def test_a_dumb_terminal_is_none_and_a_notebook_is_one(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not Console(stream=Terminal()).rewrites
    monkeypatch.setenv("TERM", "xterm")
    assert Console(stream=Terminal()).rewrites and not Console(True, Terminal()).rewrites
    notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    assert Console(stream=notebook()).rewrites and not Console(stream=io.StringIO()).rewrites


def test_the_clock_shows_hours_from_an_hour_on():
    assert [clock(seconds) for seconds in (7, 307.4, 3907)] == ["0:07", "5:07", "1:05:07"]
