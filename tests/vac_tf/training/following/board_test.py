"""The board of a run: what lies in its files, and what of it stays when a run goes on."""

import glob
import os

import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.event_reader import steps, tags, values
from vac_tf.runs.folder import RunFolder
from vac_tf.training.following.board import Board
from vac_tf.training.following.event_files import cut_back

STEPS = 4
TERMS = ("loss", "consistency_loss", "kld")


def row_of(epoch):
    row = {"epoch": epoch, "steps": 99, "learning_rate": 0.5 / epoch, "loss": 1.0 / epoch}
    row |= {"accuracy": 0.25, "validation_loss": 2.0, "validation_loss_kld": 3.0}
    row |= {"validation_kld": 4.0, "validation_consistency_loss": 5.0}
    row |= {"validation_mAP": 0.1 * epoch, "validation_mAP_ema": 0.2 * epoch}
    return row | {"seconds": 1.5, "images_per_second": 7.0, "data_wait_share": 0.1}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(str(tmp_path))


def follow(folder, first, last, progress, is_torn=False):
    """A process that follows a run from one epoch (counted from 0) to another one."""
    board = Board(folder, STEPS, TERMS)
    board.go_on_from(progress)
    for epoch in range(first, last):
        for step in (epoch * STEPS + 2, epoch * STEPS + 4):
            if step > progress["epoch"] * STEPS + progress["step"]:
                board.within_epoch(step, {"loss": float(epoch)})
        for weights in ("raw", "ema"):
            with board.validation(weights, epoch + 1):
                tf.summary.scalar("metrics/mA", 0.5)
        if not (is_torn and epoch == last - 1):
            board.end_epoch(row_of(epoch + 1))
    board.close()


def progress_of(epoch, step=0):
    return {"epoch": epoch, "step": step, "history": [row_of(n + 1) for n in range(epoch)]}


def runs(folder):
    return sorted(os.listdir(folder.file("tensorboard")))


def test_curves_of_training_and_validation_share_their_names(folder):
    follow(folder, 0, 2, progress_of(0))
    assert runs(folder) == ["train", "validation", "validation_ema"]
    train, validation, average = (folder.file(f"tensorboard/{run}") for run in runs(folder))
    assert tags(train) == [
        "loss/loss",
        "metrics/accuracy",
        "optimizer/learning_rate",
        "pace/data_wait_share",
        "pace/images_per_second",
        "pace/seconds",
        "within_epoch/loss",
    ]
    assert tags(validation) == [
        *("loss/consistency_loss", "loss/kld", "loss/loss"),
        *("metrics/kld", "metrics/mA", "metrics/mAP"),
    ]
    assert values(validation, "loss/kld") == [3.0] * 2
    assert tags(average) == ["metrics/mA", "metrics/mAP"]
    assert steps(train, "loss/loss") == [4, 8] and values(train, "loss/loss") == [1.0, 0.5]
    assert steps(train, "within_epoch/loss") == [2, 4, 6, 8]
    np.testing.assert_allclose(values(average, "metrics/mAP"), [0.2, 0.4])


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (progress_of(3), 3),
        (progress_of(2, 3), 2),  # Stopped in the third epoch: what came later is done again.
        (progress_of(1), 1),  # Fell back on an earlier state.
        (progress_of(0), 0),  # The state was removed: the run begins anew.
    ],
)
def test_no_step_stands_twice_in_the_files_of_a_run_that_goes_on(folder, progress, expected):
    follow(folder, 0, 3, progress_of(0))
    board = Board(folder, STEPS, TERMS)
    board.go_on_from(progress)
    board.close()
    train = folder.file("tensorboard/train")
    kept = [2, 4, 6, 8, 10, 12][: expected * 2 + (progress["step"] >= 2)]
    assert (steps(train, "within_epoch/loss") if kept else tags(train)) == kept
    follow(folder, expected, 4, progress)
    for run in runs(folder):
        path = folder.file(f"tensorboard/{run}")
        for tag in tags(path):
            every = [2, 4, 6, 8, 10, 12, 14, 16] if "within" in tag else [4, 8, 12, 16]
            assert sorted(steps(path, tag)) == every, (run, tag)


def test_an_epoch_whose_curves_were_lost_gets_them_from_the_history(folder):
    follow(folder, 0, 2, progress_of(0), is_torn=True)
    train = folder.file("tensorboard/train")
    assert steps(train, "loss/loss") == [4]
    follow(folder, 2, 3, progress_of(2))
    assert steps(train, "loss/loss") == [4, 8, 12]
    assert steps(folder.file("tensorboard/validation"), "metrics/mA") == [4, 8, 12]


def test_a_board_that_comes_later_has_the_earlier_epochs(folder):
    follow(folder, 2, 3, progress_of(2))
    assert steps(folder.file("tensorboard/train"), "loss/loss") == [4, 8, 12]
    assert steps(folder.file("tensorboard/train"), "within_epoch/loss") == [10, 12]


def test_an_event_that_a_kill_cut_off_is_no_obstacle(folder):
    follow(folder, 0, 2, progress_of(0))
    (path,) = glob.glob(folder.file("tensorboard/train/*"))
    with open(path, "rb") as stream:
        whole = stream.read()
    with open(path, "wb") as stream:
        stream.write(whole[:-7])
    follow(folder, 1, 2, progress_of(1))
    train = folder.file("tensorboard/train")
    assert steps(train, "within_epoch/loss") == [2, 4, 6, 8]
    assert steps(train, "loss/loss") == [4, 8]


def test_files_of_others_are_left_alone(folder, tmp_path):
    follow(folder, 0, 1, progress_of(0))
    other = tmp_path / "tensorboard" / "train" / "notes.txt"
    other.write_text("mine")
    follow(folder, 0, 1, progress_of(0))
    assert other.read_text() == "mine"
    assert cut_back(str(tmp_path / "missing"), lambda tag: 0) == set()


def test_a_file_in_its_place_is_named(folder):
    open(folder.file("tensorboard"), "w").close()
    with pytest.raises(ValueError, match="tensorboard.*is a file.*Remove it"):
        Board(folder, STEPS, TERMS)
