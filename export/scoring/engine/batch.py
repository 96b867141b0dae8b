"""One batch, from the files of its inputs to its rows."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.files.read_limits import DEFAULT_LIMITS, ReadLimits
from export.images.decoding_memory import MemoryBudget
from export.images.image_header import ImageError
from export.scoring.output.rows import RowBlock
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.image_file import ImageView, load_view
from export.scoring.sources.input import ScoringInput


@dataclasses.dataclass(frozen=True)
class LoadedInput:
    """An input with its pixels, or with the reason why there are none."""

    scoring_input: ScoringInput
    view: ImageView | None = None
    error: ImageError | None = None


def load(
    scoring_input: ScoringInput,
    preprocessing: Preprocessing,
    with_picture: bool = False,
    budget: MemoryBudget | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> LoadedInput:
    """`load_view`, whose arguments these are; a bad input gets its error instead of pixels."""
    try:
        view = load_view(scoring_input, preprocessing, with_picture, budget, limits)
        return LoadedInput(scoring_input, view)
    except ImageError as error:
        return LoadedInput(scoring_input, error=error)


def stack_inputs(batch: Sequence[LoadedInput], images: np.ndarray) -> None:
    """Puts a batch into the network's input.

    The input always has its full size: row i of the outputs comes from slot i, and the slots of
    failed inputs and behind the last input are black images whose outputs are dropped. So no row
    can shift, and a GPU sees one shape only.

    Args:
        batch: The loaded inputs, at most one per slot.
        images: `[slots, height, width, 3]` of the dtype that the network takes; overwritten.
    """
    for slot, loaded in enumerate(batch):
        images[slot] = 0 if loaded.view is None else loaded.view.values
    images[len(batch) :] = 0


def run_network(
    buffer: InputBuffer, batch: Sequence[LoadedInput], outputs: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The outputs of a stacked batch's rows by name; empty when no input could be loaded."""
    if all(loaded.view is None for loaded in batch):
        return {}
    return {name: value[: len(batch)] for name, value in buffer.run(outputs).items()}


def make_rows(
    batch: Sequence[LoadedInput], values: Mapping[str, np.ndarray], thresholds: np.ndarray
) -> RowBlock:
    """The rows of a batch.

    Args:
        batch: The N loaded inputs.
        values: What `run_network` gave for them.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
    """
    statuses = ["ok" if loaded.error is None else loaded.error.status for loaded in batch]
    errors = [None if loaded.error is None else str(loaded.error) for loaded in batch]
    if not values:  # No input could be loaded.
        shape = (len(batch), len(thresholds))
        values = dict.fromkeys(("probabilities", "logits"), np.zeros(shape, np.float32))
    probabilities = values["probabilities"]
    for row in np.flatnonzero(~np.isfinite(probabilities).all(axis=1)):
        if statuses[row] == "ok":
            statuses[row] = "not_finite"
            errors[row] = "The network's probabilities are not finite."
    scored = np.array([status == "ok" for status in statuses])
    decisions = (probabilities > thresholds) & scored[:, None]
    inputs = [loaded.scoring_input for loaded in batch]
    return RowBlock(inputs, statuses, errors, probabilities, decisions, values.get("logits"))


def score_batch(
    session: NetworkSession,
    thresholds: np.ndarray,
    batch: Sequence[LoadedInput],
    batch_size: int,
    outputs: tuple[str, ...] = ("probabilities",),
) -> tuple[RowBlock, dict[str, np.ndarray]]:
    """Runs the network on up to `batch_size` inputs, all in one call.

    Args:
        session: The network.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        batch: The loaded inputs.
        batch_size: Number of slots.
        outputs: Names of the network's outputs to compute, `probabilities` among them.

    Returns:
        The rows, and the outputs of those rows by name (empty when no input could be loaded).
    """
    (buffer,) = session.input_buffers(batch_size, 1)
    stack_inputs(batch, buffer.images)
    buffer.upload()
    values = run_network(buffer, batch, outputs)
    return make_rows(batch, values, thresholds), values
