"""From the images of a request to their results: admitted, loaded, computed."""

import asyncio
import concurrent.futures
import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

from export.files.daemon_threads import DaemonThreadPool
from export.files.http_file import import_urllib3
from export.images.decoding_memory import MemoryBudget
from export.images.image_header import ImageError
from export.scoring.decoding.loading import LoadedInput, load
from export.scoring.engine.batch import make_rows
from export.scoring.engine.job_settings import decision_thresholds
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.sources.input import ScoringInput
from export.serving.answers import Heatmaps, describe_rows
from export.serving.batcher import Batcher, WaitingImage, give
from export.serving.config import ServingConfig
from export.serving.metrics import ServingMetrics
from export.serving.refusals import busy, too_many
from export.serving.remote_images import UrlRules

# Images by URL wait for other hosts: they must not keep decoders from those that are here.
_URL_THREADS = 16
_LONGEST_RETRY_SECONDS = 60


class ImageScorer:
    """Scores images of all requests together.

    Args:
        config: The server's.
        devices: The network.
        metrics: Told of each image.
    """

    def __init__(self, config: ServingConfig, devices: NetworkDevices, metrics: ServingMetrics):
        self.description = devices.first.description
        self.sha256 = devices.first.sha256
        self.has_heatmaps = "heatmaps" in devices.first.output_shapes
        self.thresholds = decision_thresholds(config.threshold, self.description)
        preprocessing = self.description.preprocessing
        if config.max_pixels:
            most = min(config.max_pixels, preprocessing.max_pixels)
            preprocessing = dataclasses.replace(preprocessing, max_pixels=most)
        self._preprocessing = preprocessing
        self._most_images, self._most_waiting = config.max_images, config.queue_images
        self._url_rules, self._url_limits = UrlRules.parse(config.url_hosts), config.url_limits
        self._budget = MemoryBudget(config.decoding_memory_bytes)
        self._decoders = DaemonThreadPool(config.decoder_count)
        self._url_readers = DaemonThreadPool(_URL_THREADS if config.url_hosts else 0)
        self._metrics = metrics
        if config.url_hosts:
            import_urllib3()  # Found out here, not by clients.
        self._waiting = self._waiting_by_url = 0
        self._url_seconds = config.request_seconds
        delay = config.batch_delay_ms / 1000.0
        self._batcher = Batcher(devices, self.thresholds, config.batch_size, delay, metrics)

    def start(self) -> None:
        """Begins; ProviderError when a device cannot run the network."""
        self._batcher.start()

    @property
    def is_well(self) -> bool:
        """Whether the newest batch could be computed."""
        return self._batcher.is_well

    def check_room(self) -> None:
        """Before a body is read; only for the event loop's thread, as `score`.

        Raises:
            Refusal: 429 where no image more fits into the queue now.
        """
        self._check_queues(1, 0)

    def _check_queues(self, here: int, by_url: int) -> None:
        """Raises Refusal, 429, where so many more images do not fit.

        Those by URL are counted apart: hosts that do not answer must not keep out the others.
        """
        queues = (
            (here, self._waiting, "", self._batcher.seconds_for(self._waiting)),
            (by_url, self._waiting_by_url, " by URL", self._url_seconds),
        )
        for images, waiting, kind, seconds in queues:
            if images and waiting + images > self._most_waiting:
                raise busy(
                    f"{waiting} images{kind} wait already, the limit is {self._most_waiting}"
                    " (--queue_images). Send this request again later.",
                    min(max(math.ceil(seconds), 1), _LONGEST_RETRY_SECONDS),
                )

    async def score(
        self, inputs: Sequence[ScoringInput], heatmaps: Heatmaps
    ) -> list[dict[str, Any]]:
        """One result per image, in order, as plain values of `answers.Result`.

        Raises:
            Refusal: 413 for more images than one request may have, 429 where they do not fit into
                the queue now.
            DeviceError: when the network cannot be computed.
        """
        if len(inputs) > self._most_images:
            raise too_many(self._most_images)
        by_url = sum(map(self._is_fetched, inputs))
        here = len(inputs) - by_url
        self._check_queues(here, by_url)
        self._count_waiting(here, by_url)
        try:
            futures = [self._begin(value, heatmaps) for value in inputs]
            results = await asyncio.gather(
                *map(asyncio.wrap_future, futures), return_exceptions=True
            )
        finally:
            self._count_waiting(-here, -by_url)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            self._metrics.count_image(result["status"])
        return results

    def _is_fetched(self, value: ScoringInput) -> bool:
        return value.data is None and not value.problem and bool(self._url_rules.hosts)

    def _count_waiting(self, here: int, by_url: int) -> None:
        self._waiting += here
        self._waiting_by_url += by_url
        self._metrics.set_queue(self._waiting + self._waiting_by_url)

    def _begin(self, value: ScoringInput, heatmaps: Heatmaps) -> concurrent.futures.Future:
        answer = concurrent.futures.Future()
        pool = self._url_readers if self._is_fetched(value) else self._decoders
        pool.submit(self._load, value, heatmaps, answer, time.monotonic())
        return answer

    def _load(
        self,
        value: ScoringInput,
        heatmaps: Heatmaps,
        answer: concurrent.futures.Future,
        since: float,
    ) -> None:
        """Loads an image, in a thread of its pool, and hands it on or answers why it cannot."""
        try:
            loaded = self._loaded(value)
            self._metrics.observe_stage("decode", time.monotonic() - since)
            if loaded.view is not None:
                self._batcher.put(WaitingImage(loaded, heatmaps, answer))
                return
            block = make_rows([loaded], {}, self.thresholds)
            (result,) = describe_rows(block, [loaded], {}, ["none"], self.description.label_names)
            give(answer, result)
        except BaseException as error:  # Raised again where the request waits.
            give(answer, error)

    def _loaded(self, value: ScoringInput) -> LoadedInput:
        if value.data is None and not value.problem:
            try:
                self._url_rules.check(value.path)
            except ImageError as error:
                return LoadedInput(value, error=error)
        loaded = load(value, self._preprocessing, budget=self._budget, limits=self._url_limits)
        # The encoded image is done with.
        return dataclasses.replace(loaded, scoring_input=dataclasses.replace(value, data=None))
