"""Keras callbacks of a caller, who see one `fit` where the run calls it once an epoch."""

import logging
from collections.abc import Sequence

import keras

from vac_tf.training.custom.callback_memory import remember, states_of

_LOGGER = logging.getLogger(__name__)


class RunCallbacks(keras.callbacks.Callback):
    """Passes on what happens to other callbacks, as one `fit` of the whole run would.

    `on_train_begin` and `on_train_end` come once, and `on_epoch_end` after the validation, whose
    values are called as Keras calls them, `val_...`. A run that is continued begins at its epoch,
    with what its callbacks remembered (`vac_tf.training.custom.callback_memory`).

    Args:
        callbacks: `self.model` is the trainer for them; `stop_training` of it ends the run after
            the epoch.
        trainer: of the run.
        epochs: of the run.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], trainer: keras.Model, epochs: int
    ):
        super().__init__()
        self._list = keras.callbacks.CallbackList(list(callbacks), model=trainer, epochs=epochs)
        self._given = list(callbacks)
        self._trainer = trainer
        self._states = None
        self._has_begun = False

    def go_on_from(self, states: list[list] | None) -> None:
        """Lets the callbacks begin with the `states` of an earlier process; None: anew."""
        self._states = states

    def states(self) -> list[list]:
        """What the callbacks remember, as JSON holds it."""
        return states_of(self._given)

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            self._has_begun = True
            self._list.on_train_begin(logs)
            if self._states is not None and (anew := remember(self._given, self._states)):
                _LOGGER.warning(
                    "%s: what it remembers begins anew, since the callbacks are not those that the"
                    " run was stopped with; give the same ones in the same order.",
                    ", ".join(anew),
                )

    def on_epoch_begin(self, epoch, logs=None):
        self._list.on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._list.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._list.on_train_batch_end(batch, logs)

    def end_epoch(self, row: dict[str, float]) -> bool:
        """Tells of the end of an epoch; whether the run is to stop.

        Args:
            row: of its history.
        """
        self.on_train_begin()
        logs = {_name_in_keras(name): value for name, value in row.items() if name != "epoch"}
        self._list.on_epoch_end(row["epoch"] - 1, logs)
        return self._trainer.stop_training

    def end(self) -> None:
        """Tells of the end of the run."""
        if self._has_begun:
            self._list.on_train_end()


def _name_in_keras(name):
    prefix = "validation_"
    return f"val_{name.removeprefix(prefix)}" if name.startswith(prefix) else name
