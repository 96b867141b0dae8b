"""Decoder threads: for few images, one decoder, and hosts that cannot have decoder processes."""

import concurrent.futures

import numpy as np

from export.files.daemon_threads import DaemonThreadPool
from export.images.decoding_memory import MemoryBudget
from export.scoring.decoding.loading import LoadedInput, LoadingSettings, SlotInputs, load_into


class DecoderThreads:
    """As `export.scoring.decoding.decoder_processes.DecoderProcesses`, in this process.

    They share its interpreter lock, so that more than some 800 images/s do not come of them.
    """

    piece_size = 1

    def __init__(
        self,
        count: int,
        settings: LoadingSettings,
        shape: tuple[int, ...],
        dtype: str,
        budget_bytes: int,
    ):
        self.images = np.zeros(shape, dtype)
        self._settings = settings
        self._budget = MemoryBudget(budget_bytes)
        self._pool = DaemonThreadPool(count)

    @property
    def process_numbers(self) -> list[int]:
        """Of other processes: none."""
        return []

    def submit(
        self, batch: int, inputs: SlotInputs
    ) -> concurrent.futures.Future[list[LoadedInput]]:
        """Loads inputs into slots of a batch; the future has them in order."""
        return self._pool.submit(self._load, batch, inputs)

    def close(self) -> None:
        """Ends the threads; does not wait for one that hangs in a read."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, batch: int, inputs: SlotInputs) -> list[LoadedInput]:
        return [
            load_into(self.images[batch, slot], value, self._settings, self._budget)
            for slot, value in inputs
        ]
