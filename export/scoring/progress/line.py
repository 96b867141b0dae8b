"""A progress line for batch jobs: done, rate, errors, time left."""

import sys
import time
from typing import TextIO


class Progress:
    """Reports how far a job is.

    On a terminal one line is rewritten twice a second; in a log a new line is written every 30
    seconds.

    Args:
        total: Number of rows of the job.
        done: Number of rows that an earlier process did.
        stream: Where to write; default: standard error.
    """

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None):
        self._total = total
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._interval = 0.5 if self._on_terminal else 30.0
        self._done = self._done_before = done
        self._errors = 0
        self._start = self._last_report = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        self._report()
        if self._on_terminal:
            self._stream.write("\n")
            self._stream.flush()

    def update(self, rows: int, errors: int) -> None:
        """Adds `rows` done, `errors` of them without scores."""
        self._done += rows
        self._errors += errors
        if time.monotonic() - self._last_report >= self._interval:
            self._report()

    def _report(self) -> None:
        self._last_report = time.monotonic()
        line = self.line(self._last_report - self._start)
        self._stream.write(f"\r{line:<79}" if self._on_terminal else f"{line}\n")
        self._stream.flush()

    def line(self, seconds: float) -> str:
        """The progress after `seconds` as one line of text."""
        rate = (self._done - self._done_before) / max(seconds, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        percent = 100.0 * self._done / max(self._total, 1)
        return (
            f"{self._done}/{self._total} images ({percent:.0f} %), {rate:.1f} images/s,"
            f" {self._errors} errors, {_clock(left)} left"
        )


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "--:--"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
