"""What a server tells Prometheus."""

from collections.abc import Callable

import prometheus_client

from export.scoring.output.rows import printable_path

_PREFIX = "vac_serving"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Of a request that the server answers, whatever a client asks for: paths of its own are one.
_OTHER = "other"
_PATHS = frozenset(("/score", "/model", "/healthz", "/readyz", "/metrics", "/docs"))


class ServingMetrics:
    """Counters and histograms of one server; may be told from any thread."""

    content_type = prometheus_client.CONTENT_TYPE_LATEST

    def __init__(self):
        self._registry = registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        self._requests = prometheus_client.Histogram(
            f"{_PREFIX}_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path", "code"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = prometheus_client.Counter(
            f"{_PREFIX}_refused_requests", "Requests refused.", ["reason"], registry=registry
        )
        self._images = prometheus_client.Counter(
            f"{_PREFIX}_images", "Images by status.", ["status"], registry=registry
        )
        self._stages = prometheus_client.Histogram(
            f"{_PREFIX}_stage_seconds",
            "Of an image: decode (waiting for a decoder included), queue (until its batch begins).",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = prometheus_client.Histogram(
            f"{_PREFIX}_batch_images", "Images of a batch.", buckets=_BATCHES, registry=registry
        )
        self._batch_seconds = prometheus_client.Histogram(
            f"{_PREFIX}_batch_seconds",
            "From a batch's images to its results.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue = prometheus_client.Gauge(
            f"{_PREFIX}_queue_images",
            "Images that were accepted and have no result yet.",
            registry=registry,
        )
        self._bodies = prometheus_client.Gauge(
            f"{_PREFIX}_body_bytes",
            "Of all bodies that are received or wait.",
            registry=registry,
        )
        self._facts = prometheus_client.Info(
            _PREFIX, "What is served, and where it is computed.", registry=registry
        )
        self._images.labels("ok")  # So that it is there, at 0, before the first image.

    def describe(self, model_sha256: str, provider: str) -> None:
        """Names the model and its execution provider."""
        facts = {"model_sha256": model_sha256, "provider": provider}
        self._facts.info({name: printable_path(value) for name, value in facts.items()})

    def observe_request(self, path: str, code: int, seconds: float) -> None:
        """Counts an answer."""
        path = path if path in _PATHS else _OTHER
        self._requests.labels(path, str(code)).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        """Counts a request that was refused as a whole, by a word."""
        self._refused.labels(reason).inc()

    def count_image(self, status: str) -> None:
        """Counts an image with a result."""
        self._images.labels(status).inc()

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Counts how long an image took for `decode` or `queue`."""
        self._stages.labels(stage).observe(seconds)

    def observe_batch(self, images: int, seconds: float) -> None:
        """Counts a batch."""
        self._batches.observe(images)
        self._batch_seconds.observe(seconds)

    def set_queue(self, images: int) -> None:
        """Says how many images have no result yet."""
        self._queue.set(images)

    def watch_bodies(self, held: Callable[[], int]) -> None:
        """Takes from `held` how many bytes of bodies there are."""
        self._bodies.set_function(held)

    def text(self) -> bytes:
        """The metrics of this moment in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)
