"""How far a job is, as Prometheus metrics: in a file (for node_exporter), or on a port."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from export.files.atomic_file import replace_file
from export.scoring.config import THIS_HOST, ScoringConfig
from export.scoring.drift.drift import Drift
from export.scoring.output.rows import printable_path
from export.scoring.progress.drift_metrics import PREFIX, drift_metrics

_SECONDS_BETWEEN = 5.0
_LOGGER = logging.getLogger(__name__)


class JobMetrics:
    """The state of a job, for dashboards; a collector of prometheus_client.

    A file is written at the beginning, every five seconds, and at the end. It is replaced whole,
    so a reader never sees a part of it, and left behind: `vac_scoring_finished` says whether the
    job came through. A file that cannot be written ends a job at its beginning only: later there
    is one warning, and each new try may succeed. The port answers while the job runs, with the
    state of that moment. Without file and port nothing is made, and prometheus_client not needed.

    Args:
        path: The file; empty: none is written.
        port: Port of the HTTP server; 0: there is none.
        expected: Number of rows of the job.
        counts: Rows by status that an earlier process finished.
        facts: Labels of `vac_scoring_info`.
        images_by_device: How many images each device computed, kept up by others.
        host: Address on which the server answers; by default this host only.

    Attributes:
        drift: How far the scores are from those of a reference, once that is known.
    """

    def __init__(
        self,
        path: str,
        port: int,
        expected: int,
        counts: Mapping[str, int],
        facts: Mapping[str, str],
        images_by_device: Mapping[str, int] | None = None,
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
        self._images_by_device = images_by_device or {}
        self._finished = False
        self.drift: Drift | None = None
        self._start = self._last = time.monotonic()
        self._is_warned = False
        self._client: Any = import_client() if path or port else None

    def __enter__(self) -> "JobMetrics":
        self._write()
        if self._port:
            self._open.enter_context(self._serve())
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._open.close()
        self._finished = kind is None
        self._write_or_warn()

    def update(self, counts: Mapping[str, int]) -> None:
        """Adds rows by status."""
        counts_now = self._counts.copy()
        counts_now.update(counts)
        self._counts = counts_now  # A new object: the port's thread may be reading the old one.
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._write_or_warn()

    def _write_or_warn(self) -> None:
        """The job outlives its metrics: their disk may be full, or their folder gone."""
        try:
            self._write()
            self._is_warned = False
        except (OSError, ValueError) as error:
            if not self._is_warned:
                _LOGGER.warning(
                    "The metrics %r cannot be written, the job goes on: %s", self._path, error
                )
            self._is_warned = True

    def _write(self) -> None:
        self._last = time.monotonic()
        if self._path:
            with replace_file(self._path) as file:
                file.write(self.text())

    @contextlib.contextmanager
    def _serve(self) -> Iterator[None]:
        try:
            server, thread = self._client.start_http_server(self._port, self._host, self)
        except OSError as error:
            raise ValueError(
                f"--metrics_port={self._port} cannot be opened on --metrics_host={self._host}:"
                f" {error.strerror}. Choose another one; every process of a job needs its own."
            ) from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def text(self) -> bytes:
        """The metrics of this moment in Prometheus' text format."""
        return self._client.generate_latest(self)

    def collect(self) -> Iterator[Any]:
        """The metrics of this moment, as prometheus_client has them."""
        families = self._client.metrics_core
        rows = families.CounterMetricFamily(
            f"{PREFIX}_images", "Rows by status.", labels=["status"]
        )
        for status, count in self._counts.items():
            rows.add_metric([status], count)
        yield rows
        devices = families.CounterMetricFamily(
            f"{PREFIX}_device_images",
            "Images that each device computed for this process.",
            labels=["device"],
        )
        for device, count in self._images_by_device.items():
            devices.add_metric([device], count)
        yield devices
        gauges = {
            "images_expected": ("Rows of the job.", self._expected),
            "images_resumed": ("Rows done by an earlier process.", self._resumed),
            "seconds": ("Seconds that this process scored.", self._seconds()),
            "finished": ("1 when the job came through.", int(self._finished)),
        }
        for name, (help_text, value) in gauges.items():
            yield families.GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value)
        if self.drift is not None:
            yield from drift_metrics(families, self.drift)
        facts = {name: printable_path(value) for name, value in self._facts.items()}
        yield families.InfoMetricFamily(PREFIX, "What is scored with what.", facts)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)


def job_metrics(
    config: ScoringConfig,
    expected: int,
    counts: Mapping[str, int],
    facts: Mapping[str, str],
    images_by_device: Mapping[str, int] | None = None,
) -> JobMetrics:
    """The metrics that a config asks for; arguments as `JobMetrics`."""
    path, port, host = config.metrics_file, config.metrics_port, config.metrics_host
    return JobMetrics(path, port, expected, counts, facts, images_by_device, host)


def import_client() -> ModuleType:
    """The package prometheus_client, imported where it is needed: few jobs have metrics.

    Raises:
        ValueError: when it is not installed.
    """
    try:
        import prometheus_client
        import prometheus_client.metrics_core
    except ImportError as error:
        raise ValueError(
            f"--metrics_file and --metrics_port need prometheus_client ({error}). Install it:"
            " pip install -r requirements-metrics.txt."
        ) from error
    return prometheus_client
