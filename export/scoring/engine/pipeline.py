"""Stages of scoring side by side: images are loaded while the network computes others."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.files.daemon_threads import DaemonThreadPool
from export.images.decoding_memory import MemoryBudget
from export.scoring.config import ScoringConfig
from export.scoring.engine.batch import LoadedInput, load, run_network, stack_inputs
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import ScoringInput

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextlib.contextmanager
def load_ahead(
    config: ScoringConfig, preprocessing: Preprocessing, inputs: Iterable[ScoringInput]
) -> Iterator[Iterator[LoadedInput]]:
    """The inputs, loaded by the job's decoders, in order."""
    function = functools.partial(
        load,
        preprocessing=dataclasses.replace(preprocessing, fast_decode=config.fast_decode),
        with_picture=config.heatmaps == "overlays",
        budget=MemoryBudget(config.decoding_memory_bytes),
        limits=config.read_limits,
    )
    # Two batches ahead: one is decoded while the network computes another.
    with map_ahead(function, inputs, config.decoder_threads, 2 * config.batch_size) as loaded:
        yield loaded


@contextlib.contextmanager
def map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, ahead: int
) -> Iterator[Iterator[_Result]]:
    """The results of `function` in the order of `items`, computed by threads.

    At most `ahead` results wait at any time, so memory does not grow with the number of items.
    """
    pool = DaemonThreadPool(threads)
    try:
        yield _results_in_order(pool, function, iter(items), ahead)
    except BaseException:
        # An error, or Ctrl-C, does not wait for a thread that hangs in a read.
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(cancel_futures=True)


def _results_in_order(pool, function, items, ahead) -> Iterator:
    waiting = collections.deque(pool.submit(function, i) for i in itertools.islice(items, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
        yield result


def run_ahead(
    session: NetworkSession,
    batches: Iterable[list[LoadedInput]],
    batch_size: int,
    outputs: tuple[str, ...],
) -> Iterator[tuple[list[LoadedInput], dict[str, np.ndarray]]]:
    """Batches with the network's outputs for them, as `run_network` gives them.

    While the network computes one batch, the next is stacked in a second buffer, and the caller
    works on the one before. Close the iterator when it is left early.
    """
    buffers = itertools.cycle(session.input_buffers(batch_size, 2))
    with concurrent.futures.ThreadPoolExecutor(1) as network:
        running = None
        for batch in batches:
            buffer = next(buffers)
            stack_inputs(batch, buffer.images)
            buffer.upload()
            submitted = batch, network.submit(run_network, buffer, batch, outputs)
            if running:
                yield running[0], running[1].result()
            running = submitted
        if running:
            yield running[0], running[1].result()
