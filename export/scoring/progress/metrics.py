"""How far a job is, as Prometheus metrics: in a file (for node_exporter), or on a port."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Mapping

from export.files.atomic_file import replace_file
from export.scoring.config import THIS_HOST, ScoringConfig

_SECONDS_BETWEEN = 5.0
_PREFIX = "vac_scoring"
_LOGGER = logging.getLogger(__name__)


class JobMetrics:
    """The state of a job, for dashboards.

    A file is written at the beginning, every five seconds, and at the end. It is replaced whole,
    so a reader never sees a part of it, and left behind: `vac_scoring_finished` says whether the
    job came through. A file that cannot be written ends a job at its beginning only: later there
    is one warning, and each new try may succeed. The port answers while the job runs, with the
    state of that moment.

    Args:
        path: The file; empty: none is written.
        port: Port of the HTTP server; 0: there is none.
        expected: Number of rows of the job.
        counts: Rows by status that an earlier process finished.
        facts: Labels of `vac_scoring_info`.
        host: Address on which the server answers; by default this host only.
    """

    def __init__(
        self,
        path: str,
        port: int,
        expected: int,
        counts: Mapping[str, int],
        facts: Mapping[str, str],
        host: str = THIS_HOST,
    ):
        self._path = path
        self._port = port
        self._host = host
        self._open = contextlib.ExitStack()
        self._expected = expected
        self._counts = Counter({"ok": 0, **counts})
        self._resumed = sum(counts.values())
        self._facts = facts
        self._start = self._last = time.monotonic()
        self._is_warned = False

    def __enter__(self) -> "JobMetrics":
        self._write(finished=False)
        if self._port:
            # Imported here: it takes a while, and few jobs need it.
            from export.scoring.progress.metrics_server import serve_metrics

            self._open.enter_context(serve_metrics(self._host, self._port, self.current_text))
        return self

    def __exit__(self, kind, *exception) -> None:
        self._open.close()
        self._write_or_warn(finished=kind is None)

    def update(self, counts: Mapping[str, int]) -> None:
        """Adds rows by status."""
        counts_now = self._counts.copy()
        counts_now.update(counts)
        self._counts = counts_now  # A new object: the port's thread may be reading the old one.
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._write_or_warn(finished=False)

    def _write_or_warn(self, finished: bool) -> None:
        """The job outlives its metrics: their disk may be full, or their folder gone."""
        try:
            self._write(finished)
            self._is_warned = False
        except (OSError, ValueError) as error:
            if not self._is_warned:
                _LOGGER.warning(
                    "The metrics %r cannot be written, the job goes on: %s", self._path, error
                )
            self._is_warned = True

    def _write(self, finished: bool) -> None:
        self._last = time.monotonic()
        if self._path:
            with replace_file(self._path) as file:
                file.write(self.text(self._last - self._start, finished).encode())

    def current_text(self) -> str:
        """The metrics of a job that is running."""
        return self.text(time.monotonic() - self._start, finished=False)

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


def job_metrics(
    config: ScoringConfig, expected: int, counts: Mapping[str, int], facts: Mapping[str, str]
) -> JobMetrics:
    """The metrics that a config asks for; arguments as `JobMetrics`."""
    path, port, host = config.metrics_file, config.metrics_port, config.metrics_host
    return JobMetrics(path, port, expected, counts, facts, host)


def _labels(values: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in values.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
