"""Stages of scoring side by side: devices compute while other batches are loaded and used."""

import collections
import contextlib
import dataclasses
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from export.scoring.decoding.batch_loader import LoadedBatch, Loader
from export.scoring.decoding.loading import LoadedInput, SlotInputs
from export.scoring.engine.batch import run_network
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.network_devices import DeviceError, NetworkDevices

# One is computed while another comes to the device.
_BUFFERS_PER_DEVICE = 2


@dataclasses.dataclass(frozen=True)
class _Lane:
    """A way to a device: one of its buffers, and the lock that lets one compute at a time."""

    device: str
    buffer: InputBuffer
    lock: threading.Lock


def run_ahead(
    devices: NetworkDevices,
    loader: Loader,
    batches: Iterable[SlotInputs],
    outputs: tuple[str, ...],
) -> Generator[tuple[list[LoadedInput], dict[str, np.ndarray]], None, None]:
    """Loaded batches with the network's outputs for them, in order, as `run_network` gives them.

    While a device computes one batch, the next is uploaded from a second buffer, and the caller
    works on one before. Each batch goes to a device that is free. Close the iterator when it is
    left early.

    Args:
        devices: The network.
        loader: Loads the batches; so many as it keeps are with the devices or the caller.
        batches: Slot and input of each image of a batch, by ascending slot.
        outputs: Names of the network's outputs to compute.

    Raises:
        DeviceError: when a device cannot compute a batch, behind all batches before that.
    """
    devices.lock_pages(loader.images)
    lanes = _open_lanes(devices, loader.images.shape[1])
    free: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def compute(batch: LoadedBatch) -> dict[str, np.ndarray]:
        lane = free.get()
        try:
            return _compute(devices, lane, batch, outputs)
        finally:
            free.put(lane)

    waiting: collections.deque[tuple[list[LoadedInput], Future[dict[str, np.ndarray]]]]
    waiting = collections.deque()
    with _threads(len(lanes)) as pool:
        for batch in loader.load(batches):
            waiting.append((batch.inputs, pool.submit(compute, batch)))
            if len(waiting) == loader.kept:
                inputs, values = waiting.popleft()
                yield inputs, values.result()
        for inputs, values in waiting:
            yield inputs, values.result()


def _open_lanes(devices: NetworkDevices, slots: int) -> list[_Lane]:
    """Lanes of all devices, those of one device apart: so the first batches go to each."""
    by_device = []
    for name, session in devices.sessions.items():
        lock, buffers = threading.Lock(), session.input_buffers(slots, _BUFFERS_PER_DEVICE)
        by_device.append([_Lane(name, buffer, lock) for buffer in buffers])
    return [lane for lanes in zip(*by_device, strict=True) for lane in lanes]


def _compute(
    devices: NetworkDevices, lane: _Lane, batch: LoadedBatch, outputs: tuple[str, ...]
) -> dict[str, np.ndarray]:
    try:
        lane.buffer.upload(batch.images)
        with lane.lock:
            values = run_network(lane.buffer, batch, outputs)
            devices.images[lane.device] += sum(loaded.view is not None for loaded in batch.inputs)
            return values
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise DeviceError(f"{lane.device} cannot compute the network: {error}") from error


@contextlib.contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that end with the body: with what they are at, since the loader's memory goes too."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
