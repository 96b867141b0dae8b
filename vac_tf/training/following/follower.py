"""What a run says of itself while it trains: lines on the console, and curves for TensorBoard."""

import contextlib
from collections.abc import Iterator

import keras

from vac_tf.inputs.data_wait import DataWait
from vac_tf.runs.folder import RunFolder
from vac_tf.training.following.board import Board
from vac_tf.training.following.pace import Pace
from vac_tf.training.following.progress import Console, Progress
from vac_tf.training.following.step_curves import StepCurves


@contextlib.contextmanager
def opened_board(
    config, folder: RunFolder, trainer: keras.Model, steps_per_epoch: int, is_chief: bool = True
) -> Iterator[Board | None]:
    """The board of a run, closed at the end; None where none is asked for.

    Args:
        config: has `tensorboard`.
        folder: of the run.
        trainer: of the run.
        steps_per_epoch: training steps.
        is_chief: whether this process writes the run folder.

    Raises:
        ValueError: there is a file in the place of its folder.
    """
    if not (config.tensorboard and is_chief):
        yield None
        return
    board = Board(folder, steps_per_epoch, trainer.term_names)
    try:
        yield board
    finally:
        board.close()


class Follower:
    """Follows the epochs of a run.

    Args:
        config: of the run.
        board: where curves go; None: nowhere.
        is_chief: whether this process speaks for the run.
    """

    def __init__(self, config, board: Board | None, is_chief: bool = True):
        self.console = Console(is_quiet=config.progress_steps < 0 or not is_chief)
        self.board = board
        self._config = config

    def callbacks(
        self,
        trainer: keras.Model,
        progress: dict,
        steps_per_epoch: int,
        data_wait: DataWait | None,
    ) -> tuple[Pace, list[keras.callbacks.Callback]]:
        """The callbacks of the epoch that begins or goes on, and the first of them.

        Args:
            trainer: of the run.
            progress: of the run, see `vac_tf.training.epochs.loop.run_epochs`.
            steps_per_epoch: training steps.
            data_wait: of the epoch; None: where waiting is not measured.
        """
        pace = Pace(trainer, data_wait)
        epoch, step = progress["epoch"], progress["step"]
        seconds = [row["seconds"] for row in progress["history"]]
        line = Progress(self.console, self._config, seconds, epoch, step, steps_per_epoch, pace)
        followers = [pace, line]
        if self.board:
            every, before = self._config.tensorboard_steps, epoch * steps_per_epoch
            followers.append(StepCurves(self.board, every, before, step, steps_per_epoch, pace))
        return pace, followers
