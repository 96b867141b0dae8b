"""How far a job is, as a file of Prometheus metrics (for node_exporter's textfile collector)."""

import time
from collections import Counter
from collections.abc import Mapping

from export.atomic_file import replace_file

_SECONDS_BETWEEN = 5.0
_PREFIX = "vac_scoring"


class MetricsFile:
    """Writes the state of a job at its beginning, every five seconds, and at its end.

    The file is replaced whole, so a reader never sees a part of it. It is left behind at the end:
    `vac_scoring_finished` says whether the job came through.

    Args:
        path: The file; empty: none is written.
        expected: Number of rows of the job.
        counts: Rows by status that an earlier process finished.
        facts: Labels of `vac_scoring_info`.
    """

    def __init__(
        self, path: str, expected: int, counts: Mapping[str, int], facts: Mapping[str, str]
    ):
        self._path = path
        self._expected = expected
        self._counts = Counter({"ok": 0, **counts})
        self._resumed = sum(counts.values())
        self._facts = facts
        self._start = self._last = time.monotonic()

    def __enter__(self) -> "MetricsFile":
        self._write(finished=False)
        return self

    def __exit__(self, kind, *exception) -> None:
        self._write(finished=kind is None)

    def update(self, counts: Mapping[str, int]) -> None:
        """Adds rows by status."""
        self._counts.update(counts)
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._write(finished=False)

    def _write(self, finished: bool) -> None:
        self._last = time.monotonic()
        if self._path:
            with replace_file(self._path) as file:
                file.write(self.text(self._last - self._start, finished).encode())

    def text(self, seconds: float, finished: bool) -> str:
        """The metrics after `seconds` in Prometheus' text format."""
        metrics = [
            ("images_total", "counter", "Rows by status.", self._counts_by_status()),
            ("images_expected", "gauge", "Rows of the job.", {"": self._expected}),
            ("images_resumed", "gauge", "Rows done by an earlier process.", {"": self._resumed}),
            ("seconds", "gauge", "Seconds that this process scored.", {"": round(seconds, 3)}),
            ("finished", "gauge", "1 when the job came through.", {"": int(finished)}),
            ("info", "gauge", "What is scored with what.", {_labels(self._facts): 1}),
        ]
        lines = []
        for name, kind, help_text, values in metrics:
            lines += [f"# HELP {_PREFIX}_{name} {help_text}", f"# TYPE {_PREFIX}_{name} {kind}"]
            lines += [f"{_PREFIX}_{name}{labels} {value}" for labels, value in values.items()]
        return "\n".join(lines) + "\n"

    def _counts_by_status(self) -> dict[str, int]:
        return {_labels({"status": status}): n for status, n in self._counts.items()}


def _labels(values: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in values.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
