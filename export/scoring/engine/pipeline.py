"""Stages of scoring side by side: the network computes while other batches are loaded and used."""

import concurrent.futures
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from export.scoring.decoding.batch_loader import BatchLoader
from export.scoring.decoding.loading import LoadedInput, SlotInputs
from export.scoring.engine.batch import run_network
from export.scoring.runtime.session import NetworkSession


def run_ahead(
    session: NetworkSession,
    loader: BatchLoader,
    batches: Iterable[SlotInputs],
    outputs: tuple[str, ...],
) -> Iterator[tuple[list[LoadedInput], dict[str, np.ndarray]]]:
    """Loaded batches with the network's outputs for them, as `run_network` gives them.

    While the network computes one batch, the next is uploaded from a second buffer, and the caller
    works on the one before. Close the iterator when it is left early.

    Args:
        session: The network.
        loader: Loads the batches.
        batches: Slot and input of each image of a batch, by ascending slot.
        outputs: Names of the network's outputs to compute.
    """
    session.lock_pages(loader.images)
    buffers = itertools.cycle(session.input_buffers(loader.images.shape[1], 2))
    with concurrent.futures.ThreadPoolExecutor(1) as network:
        running = None
        for batch in loader.load(batches):
            buffer = next(buffers)
            buffer.upload(batch.images)
            submitted = batch, network.submit(run_network, buffer, batch, outputs)
            if running:
                yield running[0].inputs, running[1].result()
            running = submitted
        if running:
            yield running[0].inputs, running[1].result()
