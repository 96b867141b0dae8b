"""What all epochs of a run share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from vac_tf.runs.folder import RunFolder
from vac_tf.training.custom.run_callbacks import RunCallbacks
from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.following.board import Board
from vac_tf.training.resume import save_state


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A run whose epochs are to be trained.

    Attributes:
        config: of the run, a `vac_tf.configs.run.RunConfig`.
        folder: its claimed folder.
        trainer: compiled, every variable of which exists.
        data: has `training` (`TrainingBatches`) and `naming_bad_images()`.
        validate: called after every epoch with the progress; returns its log entries, and keeps
            the best networks (`vac_tf.training.kept_networks.keep_best`).
        describe: the log entries of an epoch in words.
        rate_flag: what sets the learning rate, for the advice after a divergence.
        distribution: the devices, in whose scope the network and the optimizer were made.
        before_epoch: called with the number of every epoch, from 0, that begins or goes on.
        callbacks: of the caller; one of them may end the run after an epoch.
        board: gets the curves; None: there are none.
    """

    config: Any
    folder: RunFolder
    trainer: keras.Model
    data: Any
    validate: Callable[[dict], dict]
    describe: Callable[[dict], str]
    rate_flag: str = "--learning_rate"
    distribution: Distribution = ONE_DEVICE
    before_epoch: Callable[[int], None] = lambda epoch: None
    callbacks: RunCallbacks | None = None
    board: Board | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the folder."""
        return self.distribution.is_chief

    def save(self, progress: dict) -> None:
        """Writes the state of the trainer and how far the run is."""
        save_state(self.folder.state_file, self.trainer, progress, self.config.keep_states)
