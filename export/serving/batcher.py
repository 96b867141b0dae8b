"""Batches of images that came with different requests, computed on every device."""

import concurrent.futures
import contextlib
import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.batch import make_rows, run_network, stack_inputs
from export.scoring.runtime.graph_fit import STABILITY
from export.scoring.runtime.host_facts import CPU
from export.scoring.runtime.network_devices import DeviceError, NetworkDevices
from export.scoring.runtime.session import NetworkSession
from export.serving.answers import Heatmaps, describe_rows
from export.serving.metrics import ServingMetrics

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WaitingImage:
    """A loaded image on its way to the network.

    Attributes:
        loaded: With its pixels.
        heatmaps: What the request wants of them.
        answer: Gets its result as plain values.
        since: When it was loaded, as `time.monotonic` counts.
    """

    loaded: LoadedInput
    heatmaps: Heatmaps
    answer: concurrent.futures.Future
    since: float = dataclasses.field(default_factory=time.monotonic)


class Batcher:
    """Computes images as they come, each device in a thread of its own.

    A batch closes when it is full, or when its first image has waited for the delay. While all
    devices compute, images gather: so batches grow with the load by themselves.

    Args:
        devices: The network.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        batch_size: Most images of a batch.
        delay_seconds: How long an image waits for others.
        metrics: Told of each batch.
    """

    def __init__(
        self,
        devices: NetworkDevices,
        thresholds: np.ndarray,
        batch_size: int,
        delay_seconds: float,
        metrics: ServingMetrics,
    ):
        self._thresholds = thresholds
        self._label_names = devices.first.description.label_names
        self._groups = devices.first.description.label_groups
        self._more_outputs = (STABILITY,) if devices.first.has_stability else ()
        self._batch_size = batch_size
        self._delay = delay_seconds
        self._metrics = metrics
        self._images: queue.SimpleQueue[WaitingImage] = queue.SimpleQueue()
        self._collecting = threading.Lock()
        self._seconds_per_image = 0.0
        self._computing = [_Device(name, s, batch_size) for name, s in devices.sessions.items()]
        self.is_well = True

    def start(self) -> None:
        """Makes the devices ready and begins; the threads end with the process.

        Raises:
            ProviderError: when a device cannot run the network.
        """
        for device in self._computing:
            device.warm_up()
            threading.Thread(target=self._work, args=(device,), daemon=True).start()

    def put(self, image: WaitingImage) -> None:
        """Queues an image that could be loaded."""
        self._images.put(image)

    def seconds_for(self, images: int) -> float:
        """About how long so many images will take, by the newest batch."""
        return images * self._seconds_per_image / len(self._computing)

    def _work(self, device: "_Device") -> None:
        while True:
            # One device at a time: several would tear a batch into pieces.
            with self._collecting:
                batch = self._collect()
            start = time.monotonic()
            try:
                results = self._compute(device, batch)
            except Exception as error:  # Raised again in those who wait.
                self.is_well = False
                _LOGGER.error("%s cannot compute the network: %s", device.name, error)
                results = DeviceError(f"{device.name} cannot compute the network: {error}")
            else:
                self.is_well = True
                self._seconds_per_image = (time.monotonic() - start) / len(batch)
            # Before the answers: who asks for the metrics after one finds its batch counted.
            self._metrics.observe_batch(len(batch), time.monotonic() - start)
            _answer(batch, results)

    def _collect(self) -> list[WaitingImage]:
        batch = [self._images.get()]
        end = batch[0].since + self._delay
        while len(batch) < self._batch_size:
            try:
                batch.append(self._images.get(timeout=max(end - time.monotonic(), 0.0)))
            except queue.Empty:
                break
        now = time.monotonic()
        for image in batch:
            self._metrics.observe_stage("queue", now - image.since)
        return batch

    def _compute(self, device: "_Device", batch: Sequence[WaitingImage]) -> list[dict[str, Any]]:
        loaded = [image.loaded for image in batch]
        wanted = [image.heatmaps for image in batch]
        wants_heatmaps = any(heatmaps != "none" for heatmaps in wanted)
        outputs = ("probabilities", *self._more_outputs, *(("heatmaps",) if wants_heatmaps else ()))
        values = device.run(loaded, outputs)
        rows = make_rows(loaded, values, self._thresholds, label_groups=self._groups)
        return describe_rows(rows, loaded, values, wanted, self._label_names)


def _answer(batch: Sequence[WaitingImage], results: list[dict[str, Any]] | DeviceError) -> None:
    """Gives each image its result, or all of them the error."""
    answers = [results] * len(batch) if isinstance(results, DeviceError) else results
    for image, result in zip(batch, answers, strict=True):
        give(image.answer, result)


def give(answer: concurrent.futures.Future, result: Any) -> None:
    """Gives whoever waits a result or an error; of a request that was given up nobody waits."""
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)


class _Device:
    """A session with buffers for batches of all sizes.

    A CPU computes just the images that there are. On a GPU, where each new shape costs a warm-up,
    a batch is filled up with black images to the next power of two.
    """

    def __init__(self, name: str, session: NetworkSession, batch_size: int):
        self.name = name
        self._session = session
        self._batch_size = batch_size
        self._buffers = {}

    def warm_up(self) -> None:
        if self._session.provider == CPU:
            return
        for slots in {self._slots(count) for count in range(1, self._batch_size + 1)}:
            self._session.warm_up(slots)
            (self._buffers[slots],) = self._session.input_buffers(slots, 1)

    def run(self, loaded: Sequence[LoadedInput], outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        slots = self._slots(len(loaded))
        if slots not in self._buffers:
            (self._buffers[slots],) = self._session.input_buffers(slots, 1)
        buffer, batch = self._buffers[slots], stack_inputs(self._session, loaded, slots)
        buffer.upload(batch.images)
        return run_network(buffer, batch, outputs)

    def _slots(self, images: int) -> int:
        if self._session.provider == CPU:
            return images
        return min(1 << (images - 1).bit_length(), self._batch_size)
