"""What --fast_decode changes in the scores of a model."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from export.files.read_limits import DEFAULT_LIMITS, ReadLimits
from export.scoring.decoding.loading import load
from export.scoring.engine.batch import score_batch
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import ScoringInput


@dataclasses.dataclass(frozen=True)
class FastDecodeEffect:
    """What --fast_decode changes.

    Attributes:
        decisions: Number of decisions compared.
        changed: Number of decisions that differ.
        largest_difference: Of a probability.
        speed_up: Time to load an image without, divided by that with it.
    """

    decisions: int
    changed: int
    largest_difference: float
    speed_up: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; without the speed, which belongs to a host and not to a model."""
        return {
            "decisions": self.decisions,
            "decisions_changed": self.changed,
            "probabilities": self.largest_difference,
        }

    def __str__(self) -> str:
        if not self.largest_difference:
            return "changes nothing here: no JPEG has twice the size of the network's input"
        return (
            f"loads images {self.speed_up:.2f} times as fast and changes {self.changed} of"
            f" {self.decisions} decisions ({100.0 * self.changed / self.decisions:.2f} %);"
            f" probabilities differ by up to {self.largest_difference:.3f}"
        )


def measure_fast_decode(
    session: NetworkSession,
    inputs: Sequence[ScoringInput],
    batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> FastDecodeEffect:
    """Scores the same images with both decodings.

    Args:
        session: The network.
        inputs: Images that can be read, at least one.
        batch_size: Images per call of the network.
        clock: Gives seconds.
        limits: What reading one image may take.
    """
    exact = session.description.preprocessing
    thresholds = np.array(session.description.thresholds, np.float32)
    ways = (exact, dataclasses.replace(exact, fast_decode=True))
    decisions: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    probabilities: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    seconds = [0.0, 0.0]
    for first in range(0, len(inputs), batch_size):
        for way, preprocessing in enumerate(ways):
            start = clock()
            some = inputs[first : first + batch_size]
            batch = [load(value, preprocessing, limits=limits) for value in some]
            seconds[way] += clock() - start
            block, _ = score_batch(session, thresholds, batch, batch_size)
            decisions[way].append(block.decisions)
            probabilities[way].append(block.probabilities)
    whole, shrunk = map(np.concatenate, decisions)
    difference = np.abs(np.subtract(*map(np.concatenate, probabilities))).max()
    changed = int((whole != shrunk).sum())
    return FastDecodeEffect(whole.size, changed, float(difference), seconds[0] / seconds[1])
