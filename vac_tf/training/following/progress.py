"""How far an epoch is: a line that is rewritten on a terminal, and one now and then in a log."""

import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

import keras

from vac_tf.training.following.pace import Pace

_LOGGER = logging.getLogger(__name__)
_SECONDS_ON_TERMINAL = 0.5
_SECONDS_IN_LOG = 30.0


class Console:
    """Where a run says how far it is: a line that is rewritten, or lines of the log.

    Lines go to the log of `vac_tf`; where nobody asked for that (Python without `logging`
    configured), to the standard error.

    Args:
        is_quiet: says nothing at all.
        stream: default: the standard error.
    """

    def __init__(self, is_quiet: bool = False, stream: TextIO | None = None):
        self.is_quiet = is_quiet
        self._stream = stream or sys.stderr
        self.rewrites = not is_quiet and _rewrites(self._stream)
        self._has_line = False

    def rewrite(self, text: str) -> None:
        """Puts a text in the place of the last one, cut to the width of the terminal."""
        width = shutil.get_terminal_size().columns - 1
        short = text if len(text) <= width else f"{text[: width - 1]}…"
        self._stream.write(f"\r{short:<{width}}")
        self._stream.flush()
        self._has_line = True

    def clear(self) -> None:
        """Takes the rewritten line away."""
        if self._has_line:
            self._stream.write(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r")
            self._stream.flush()
            self._has_line = False

    def say(self, text: str) -> None:
        """Writes a line that stays."""
        self.clear()
        if _LOGGER.isEnabledFor(logging.INFO):
            _LOGGER.info("%s", text)
        elif not self.is_quiet:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    @contextlib.contextmanager
    def cleared_at_the_end(self) -> Iterator[None]:
        """Inside, lines are rewritten; afterwards none is left, whatever happened."""
        try:
            yield
        finally:
            self.clear()


class Progress(keras.callbacks.Callback):
    """Says during an epoch how far it is: step, speed, time left, loss terms.

    Args:
        console: where to.
        config: of the run; has `epochs` and `progress_steps`.
        seconds_before: of each epoch that is done.
        epoch: of this one, from 0.
        start_step: steps of it that an earlier process finished.
        steps: of an epoch.
        pace: of this epoch, which is told of each step before.
    """

    def __init__(
        self,
        console: Console,
        config,
        seconds_before: Sequence[float],
        epoch: int,
        start_step: int,
        steps: int,
        pace: Pace,
    ):
        super().__init__()
        self._console = console
        self._config = config
        self._seconds_before = seconds_before
        self._epoch = epoch
        self._start_step = start_step
        self._steps = steps
        self._pace = pace
        self._first_step = None
        self._last_line = start_step, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        step = min(self._start_step + batch + 1, self._steps)
        if self._first_step is None:
            self._first_step = step
        if self._console.is_quiet or not self._is_due(step):
            return
        self._last_line = step, time.monotonic()
        text = self._line(step, logs or {})
        if self._console.rewrites:
            self._console.rewrite(text)
        else:
            self._console.say(text)

    def on_epoch_end(self, epoch, logs=None):
        if self._console.rewrites:
            self._console.rewrite(f"{self._where(self._steps)}, validation ...")

    def _is_due(self, step):
        last_step, last_time = self._last_line
        seconds = time.monotonic() - last_time
        if self._console.rewrites:
            return seconds >= _SECONDS_ON_TERMINAL or step == self._steps
        if self._config.progress_steps:
            every = self._config.progress_steps
            return step // every > last_step // every
        return seconds >= _SECONDS_IN_LOG

    def _where(self, step):
        return f"Epoch {self._epoch + 1}/{self._config.epochs}, step {step}/{self._steps}"

    def _line(self, step, logs):
        parts = [self._where(step)]
        if step > self._first_step:
            now = self._pace.moment()
            rates = now.since(self._pace.start)
            if "images_per_second" in rates:
                parts.append(f"{rates['images_per_second']:.1f} images/s")
            if "data_wait_share" in rates:
                parts.append(f"{rates['data_wait_share']:.0%} data wait")
            per_step = (now.seconds - self._pace.start.seconds) / (step - self._first_step)
            parts.append(self._left(per_step, step))
        named = [name for name in getattr(self.model, "term_names", logs) if name in logs]
        return ", ".join([*parts, *(f"{name} {logs[name]:.4f}" for name in named)])

    def _left(self, per_step, step):
        of_epoch, training = per_step * (self._steps - step), per_step * self._steps
        validation = 0.0
        if self._seconds_before:
            mean = sum(self._seconds_before) / len(self._seconds_before)
            validation = max(mean - training, 0.0)
        epochs_after = self._config.epochs - self._epoch - 1
        of_run = of_epoch + validation + epochs_after * (training + validation)
        return f"{clock(of_epoch)} left (run {clock(of_run)})"


def clock(seconds: float) -> str:
    """Minutes and seconds, `5:07`, from an hour on with hours, `1:05:07`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _rewrites(stream):
    # A notebook is no terminal, and takes lines back all the same.
    is_notebook = type(stream).__module__.startswith("ipykernel")
    is_terminal = getattr(stream, "isatty", lambda: False)() and os.environ.get("TERM") != "dumb"
    return is_notebook or is_terminal
