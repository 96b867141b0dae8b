"""One batch, from the files of its inputs to its rows."""

import dataclasses

import numpy as np

from export.image_file import ImageView, load_view
from export.image_header import ImageError
from export.preprocessing import Preprocessing
from export.rows import RowBlock
from export.scoring_input import ScoringInput
from export.session import NetworkSession


@dataclasses.dataclass(frozen=True)
class LoadedInput:
    """An input with its pixels, or with the reason why there are none."""

    scoring_input: ScoringInput
    view: ImageView | None = None
    error: ImageError | None = None


def load(
    scoring_input: ScoringInput, preprocessing: Preprocessing, with_picture: bool = False
) -> LoadedInput:
    """Reads, decodes and resizes an input; a bad one gets its error instead of pixels."""
    try:
        return LoadedInput(scoring_input, load_view(scoring_input, preprocessing, with_picture))
    except ImageError as error:
        return LoadedInput(scoring_input, error=error)


def score_batch(
    session: NetworkSession,
    thresholds: np.ndarray,
    batch: list[LoadedInput],
    batch_size: int,
    outputs: tuple[str, ...] = ("probabilities",),
) -> tuple[RowBlock, dict[str, np.ndarray]]:
    """Runs the network on up to `batch_size` inputs.

    The batch always has its full size: row i of the result comes from slot i, and the slots of
    failed inputs and behind the last input are black images whose outputs are dropped. So no row
    can shift, and a GPU sees one shape only.

    Args:
        session: The network.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        batch: The loaded inputs.
        batch_size: Number of slots.
        outputs: Names of the network's outputs to compute, `probabilities` among them.

    Returns:
        The rows, and the outputs of those rows by name (empty when no input could be loaded).
    """
    preprocessing = session.description.preprocessing
    shape = (batch_size, preprocessing.height, preprocessing.width, 3)
    images = np.zeros(shape, preprocessing.input_dtype)
    for slot, loaded in enumerate(batch):
        if loaded.error is None:
            images[slot] = loaded.view.values
    statuses = ["ok" if loaded.error is None else loaded.error.status for loaded in batch]
    errors = [None if loaded.error is None else str(loaded.error) for loaded in batch]
    probabilities = np.zeros((len(batch), len(thresholds)), np.float32)
    values = {}
    if "ok" in statuses:
        values = session.run(images, outputs)
        values = {name: value[: len(batch)] for name, value in values.items()}
        probabilities = values["probabilities"]
    for row in np.flatnonzero(~np.isfinite(probabilities).all(axis=1)):
        if statuses[row] == "ok":
            statuses[row] = "not_finite"
            errors[row] = "The network's probabilities are not finite."
    scored = np.array([status == "ok" for status in statuses])
    decisions = (probabilities > thresholds) & scored[:, None]
    inputs = [loaded.scoring_input for loaded in batch]
    logits = values.get("logits", np.zeros_like(probabilities))
    return RowBlock(inputs, statuses, errors, probabilities, decisions, logits), values
