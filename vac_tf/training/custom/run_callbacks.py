"""Keras callbacks of a caller, who see one `fit` where the run calls it once an epoch."""

from collections.abc import Sequence

import keras


class RunCallbacks(keras.callbacks.Callback):
    """Passes on what happens to other callbacks, as one `fit` of the whole run would.

    `on_train_begin` and `on_train_end` come once, and `on_epoch_end` after the validation, whose
    values are called as Keras calls them, `val_...`. A run that is continued begins at its epoch;
    what a callback remembers (the patience of `EarlyStopping`) begins anew.

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
        self._trainer = trainer
        self._has_begun = False

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            self._has_begun = True
            self._list.on_train_begin(logs)

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
