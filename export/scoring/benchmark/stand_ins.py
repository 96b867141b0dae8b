"""What takes the place of parts of the pipeline, so that others can be measured alone."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from export.scoring.decoding.batch_loader import BATCHES_PER_DEVICE, LoadedBatch
from export.scoring.decoding.loading import SlotInputs
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.session import NetworkSession


class LoadedAlready:
    """In place of a `BatchLoader`: gives the same pixels for all batches, at once.

    Args:
        batch: Without errors, and no slot empty.
        devices: How many devices compute the network.
    """

    def __init__(self, batch: LoadedBatch, devices: int = 1):
        self._batch = batch
        self.images = batch.images[None]
        self.kept = BATCHES_PER_DEVICE * devices

    def load(self, batches: Iterable[SlotInputs]) -> Iterator[LoadedBatch]:
        """As `BatchLoader.load`."""
        for inputs in batches:
            loaded = [
                dataclasses.replace(self._batch.inputs[slot], scoring_input=value)
                for slot, value in inputs
            ]
            yield LoadedBatch(loaded, self._batch.images)


class RecordedNetwork:
    """In place of a `NetworkSession`: gives the same outputs for all batches, at once.

    Args:
        outputs: By name, of a whole batch.
    """

    def __init__(self, outputs: Mapping[str, np.ndarray]):
        self._outputs = outputs

    def lock_pages(self, images: np.ndarray) -> None:
        """Nothing copies them."""

    def input_buffers(self, slots: int, count: int) -> list["RecordedNetwork"]:
        """Itself, which keeps nothing of a batch."""
        return [self] * count

    def upload(self, images: np.ndarray) -> None:
        """As `InputBuffer.upload`."""

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """As `InputBuffer.run`."""
        return {name: self._outputs[name] for name in outputs}


class TimedNetwork:
    """The network on all devices of a job; keeps when its calls began and ended.

    Attributes:
        devices: To be used in place of those given.
        calls: Beginning and end of each, in seconds, of all devices.

    Args:
        devices: The network.
    """

    def __init__(self, devices: NetworkDevices):
        self.calls: list[tuple[float, float]] = []
        sessions = devices.sessions.items()  # Of each, only what `run_ahead` calls is replaced.
        self.devices = NetworkDevices(
            {name: cast(NetworkSession, _TimedSession(s, self.calls)) for name, s in sessions}
        )

    @property
    def idle_share(self) -> float:
        """Of the devices' time from the first call's beginning to the last end: without a call."""
        whole = max(end for _, end in self.calls) - min(start for start, _ in self.calls)
        busy = sum(end - start for start, end in self.calls) / len(self.devices.sessions)
        return max(1.0 - busy / max(whole, 1e-9), 0.0)


class _TimedSession:
    def __init__(self, session: NetworkSession, calls: list[tuple[float, float]]):
        self._session = session
        self._calls = calls

    def lock_pages(self, images: np.ndarray) -> None:
        self._session.lock_pages(images)

    def input_buffers(self, slots: int, count: int) -> list["_TimedBuffer"]:
        buffers = self._session.input_buffers(slots, count)
        return [_TimedBuffer(buffer, self._calls) for buffer in buffers]


class _TimedBuffer:
    def __init__(self, buffer: InputBuffer, calls: list[tuple[float, float]]):
        self._buffer = buffer
        self._calls = calls

    def upload(self, images: np.ndarray) -> None:
        self._buffer.upload(images)

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        values = self._buffer.run(outputs)
        self._calls.append((start, time.perf_counter()))
        return values
