"""What happens between the steps of an epoch: stopping safely, and saving where it stands."""

import logging
import math
import signal
import time

import keras


class NonFiniteLossError(RuntimeError):
    """A loss term is not finite; the message names the term and the step."""

    exit_code = 1


class TrainingInterrupted(Exception):
    """The run was asked to end (Ctrl-C, SIGTERM) and did, at a point it can resume from."""

    def __init__(self, signal_number: int):
        super().__init__(
            f"Interrupted by {signal.Signals(signal_number).name}; start the same command again to"
            " continue."
        )
        self.exit_code = 128 + signal_number


class StopRequest:
    """Notes SIGINT and SIGTERM while it is active, instead of dying at once.

    A second signal ends the run where it is: a validation may still take long, and the last saved
    state is whole.
    """

    def __init__(self):
        self.signal_number = None

    def __enter__(self):
        signals = (signal.SIGINT, signal.SIGTERM)
        self._previous = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.signal_number is not None:
            raise TrainingInterrupted(number)
        self.signal_number = number
        logging.warning("Stopping at the next point to continue from; once more: at once.")

    def raise_if_any(self):
        """Raises TrainingInterrupted if a signal came."""
        if self.signal_number is not None:
            raise TrainingInterrupted(self.signal_number)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises NonFiniteLossError at the first step whose terms are not all finite."""

    def __init__(self, first_step: int):
        super().__init__()
        self.first_step = first_step

    def on_train_batch_end(self, batch, logs=None):
        bad = [name for name, value in logs.items() if not math.isfinite(float(value))]
        if bad:
            # Sums are named last: the term that broke them says more.
            bad.sort(key=lambda name: name in ("loss", "consistency_loss"))
            raise NonFiniteLossError(
                f"{bad[0]} is not finite at step {self.first_step + batch + 1}. Lower the learning"
                " rate or clip the gradients (--gradient_clip_norm); last/ holds the state before."
            )


class SaveInEpoch(keras.callbacks.Callback):
    """Saves a resumable state every so often, and when the run is asked to stop.

    Args:
        save: Called with the number of finished steps of this epoch.
        stop_request: See `StopRequest`.
        start_step: Steps of this epoch that an earlier process finished.
        seconds: Time between two states.
    """

    def __init__(self, save, stop_request: StopRequest, start_step: int, seconds: float):
        super().__init__()
        self._save = save
        self._stop_request = stop_request
        self._start_step = start_step
        self._seconds = seconds
        self._last = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        stopping = self._stop_request.signal_number is not None
        if stopping or time.monotonic() - self._last >= self._seconds:
            self._save(self._start_step + batch + 1)
            self._last = time.monotonic()
        self._stop_request.raise_if_any()


class RestoreMeans(keras.callbacks.Callback):
    """Puts the running means of a half-done epoch back, after `fit` has reset them."""

    def __init__(self, trainer: keras.Model):
        super().__init__()
        self._trainer = trainer
        self._values = [variable.numpy() for variable in trainer.metrics_variables]

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in zip(self._trainer.metrics_variables, self._values, strict=True):
            variable.assign(value)
