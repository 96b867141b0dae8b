"""The scores of held-out images, from which scoring jobs measure their drift."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from export.building.gate.images import scoring_inputs
from export.bundle.score_histograms import BINS, ScoreHistograms
from export.scoring.decoding.loading import load
from export.scoring.engine.batch import score_batch
from export.scoring.runtime.host_limits import available_cores
from export.scoring.runtime.session import NetworkSession
from vac_tf.datasets import Split

_BATCH = 32
_LOGGER = logging.getLogger(__name__)


def measure_reference(path: str, split: Split | None) -> ScoreHistograms | None:
    """How the probabilities of held-out images are spread, as the scorer computes them.

    Args:
        path: The exported file.
        split: The images; those that cannot be read are left out. None: there are none.

    Returns:
        The histograms; None without any image.
    """
    if split is None:
        return None
    session, inputs = NetworkSession(path, "cpu"), scoring_inputs(split)
    described, left_out = session.description, 0
    thresholds = np.array(described.thresholds, np.float32)
    total = np.zeros((len(thresholds), BINS), np.int64)
    with ThreadPoolExecutor(available_cores()) as pool:
        for first in range(0, len(inputs), _BATCH):
            some = inputs[first : first + _BATCH]
            batch = list(pool.map(lambda value: load(value, described.preprocessing), some))
            block, _ = score_batch(session, thresholds, batch, _BATCH)
            total += block.score_counts()
            left_out += sum(status != "ok" for status in block.statuses)
    if left_out:
        _LOGGER.warning(
            "%d of %d images of the reference have no scores and are left out.",
            left_out,
            len(inputs),
        )
    histograms = ScoreHistograms.from_array(described.label_names, total)
    return histograms if histograms.images else None
