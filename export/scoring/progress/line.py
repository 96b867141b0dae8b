"""A progress line for batch jobs: done, rate, errors, time left."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TextIO


class Progress:
    """Reports how far a job is.

    On a terminal one line is rewritten twice a second, cut to the terminal's width; in a log a new
    line is written every 30 seconds.

    Args:
        total: Number of rows of the job.
        done: Number of rows that an earlier process did.
        images_by_device: How many images each device computed, kept up by others; of more than
            one, the line says the least and the largest share.
        stream: Where to write; default: standard error.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        images_by_device: Mapping[str, int] | None = None,
        stream: TextIO | None = None,
    ):
        self._total = total
        self._images_by_device = images_by_device or {}
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._interval = 0.5 if self._on_terminal else 30.0
        self._done = self._done_before = done
        self._errors = 0
        self._start = self._last_report = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
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
        if self._on_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{line[:width]:<{width}}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def line(self, seconds: float) -> str:
        """The progress after `seconds` as one line of text."""
        rate = (self._done - self._done_before) / max(seconds, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        percent = 100.0 * self._done / max(self._total, 1)
        return (
            f"{self._done}/{self._total} images ({percent:.0f} %), {rate:.1f} images/s,"
            f" {self._errors} errors, {_clock(left)} left{self._shares()}"
        )

    def _shares(self) -> str:
        images = self._images_by_device.values()
        if len(images) < 2 or not sum(images):
            return ""
        least, most = (100.0 * of(images) / sum(images) for of in (min, max))
        return f", {len(images)} devices ({least:.0f} to {most:.0f} % each)"


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "--:--"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
