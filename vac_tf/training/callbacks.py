"""What happens between the steps of an epoch: stopping safely, saving where it stands, tracing."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from vac_tf.training.divergence import DivergenceError, check_finite

_LOGGER = logging.getLogger(__name__)


class TrainingInterrupted(Exception):
    """The run was asked to end (Ctrl-C, SIGTERM, SIGHUP) and did, at a point it can resume from."""

    def __init__(self, signal_number: int):
        super().__init__(
            f"Interrupted by {signal.Signals(signal_number).name}; start the same command again to"
            " continue."
        )
        self.exit_code = 128 + signal_number


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP while it is active, instead of dying at once.

    A SIGHUP (a closed terminal) that is ignored, as under nohup, stays so. Beside the main thread,
    which alone may handle signals, nothing is noted. A second signal ends the run where it is: a
    validation may still take long, and the last saved state is whole.
    """

    def __init__(self):
        self.noted = None

    @property
    def signal_number(self) -> int | None:
        """The signal to stop for."""
        return self.noted

    def __enter__(self):
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        if threading.current_thread() is not threading.main_thread():
            signals = []
        self._previous = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.noted is not None:
            raise TrainingInterrupted(number)
        self.noted = number
        _LOGGER.warning("Stopping at the next point to continue from; once more: at once.")

    def raise_if_any(self):
        """Raises TrainingInterrupted if a signal came."""
        if self.signal_number is not None:
            raise TrainingInterrupted(self.signal_number)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises DivergenceError at the first step whose terms are not all finite.

    Args:
        first_step: Steps that the run has done before.
        progress: Gets `first_loss`, that of the run's first step (the mean of those of its first
            execution).
        steps_per_execution: Steps between two calls.
        image_paths: Called with steps of the run, counted from 0; returns the files of their
            images, which the error names.
    """

    def __init__(
        self,
        first_step: int,
        progress: dict,
        steps_per_execution: int = 1,
        image_paths: Callable[[range], list[str]] = lambda steps: [],
    ):
        super().__init__()
        self._image_paths = image_paths
        self._first_step = first_step
        self._progress = progress
        self._steps_per_execution = steps_per_execution

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts the last execution of an epoch in full, also where there are fewer steps.
        first = self._first_step + batch + 2 - self._steps_per_execution
        steps = (self.params or {}).get("steps") or batch + 1
        last = self._first_step + min(batch + 1, steps)
        where = f"at step {last}" if first == last else f"in steps {first} to {last}"
        # A metric of the caller may have no value yet.
        names = getattr(self.model, "term_names", logs)
        try:
            check_finite({name: logs[name] for name in names}, where)
        except DivergenceError as error:
            raise DivergenceError(str(error), self._image_paths(range(first - 1, last))) from None
        if first == 1:
            self._progress["first_loss"] = float(logs["loss"])


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


class TraceSteps(keras.callbacks.Callback):
    """Writes a trace of TensorFlow's profiler of some steps of an epoch, for TensorBoard.

    The first step of the epoch is left out: it may build the graph. A trace ends with its epoch.

    Args:
        folder: Of TensorBoard; the trace goes into `plugins/profile` there.
        num_steps: How many steps, at least 1; rounded up to whole executions.
    """

    def __init__(self, folder: str, num_steps: int):
        super().__init__()
        self._folder = folder
        self._num_steps = num_steps
        self._first = None
        self._is_running = False

    @staticmethod
    def is_traced(folder: str) -> bool:
        """Whether a trace lies in a folder of TensorBoard."""
        return os.path.isdir(os.path.join(folder, "plugins", "profile"))

    def on_train_batch_end(self, batch, logs=None):
        if self._first is None:
            self._first = batch + 1
            tf.profiler.experimental.start(self._folder)
            self._is_running = True
        elif batch + 1 - self._first >= self._num_steps:
            self._stop()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()

    def _stop(self):
        if self._is_running:
            self._is_running = False
            tf.profiler.experimental.stop()
            _LOGGER.info("Traced steps of the training: tensorboard --logdir=%s", self._folder)
