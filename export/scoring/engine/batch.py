"""One batch, from its loaded inputs to its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from export.bundle.label_groups import LabelGroup, decide
from export.scoring.decoding.batch_loader import LoadedBatch
from export.scoring.decoding.loading import LoadedInput
from export.scoring.output.rows import RowBlock
from export.scoring.runtime.graph_fit import EMBEDDINGS, STABILITY
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.session import NetworkSession


def stack_inputs(session: NetworkSession, inputs: Sequence[LoadedInput], slots: int) -> LoadedBatch:
    """A batch of inputs that were loaded one by one, at most `slots`."""
    images = session.black_images(slots)
    for slot, loaded in enumerate(inputs):
        if loaded.view is not None:
            images[slot] = loaded.view.values
    return LoadedBatch(list(inputs), images)


def run_network(
    buffer: InputBuffer, batch: LoadedBatch, outputs: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The outputs of an uploaded batch's rows by name; empty when no input could be loaded."""
    if batch.is_empty:
        return {}
    return {name: value[: len(batch.inputs)] for name, value in buffer.run(outputs).items()}


def make_rows(
    batch: Sequence[LoadedInput],
    values: Mapping[str, np.ndarray],
    thresholds: np.ndarray,
    embedding_size: int = 0,
    label_groups: Sequence[LabelGroup] = (),
) -> RowBlock:
    """The rows of a batch.

    Args:
        batch: The N loaded inputs.
        values: What `run_network` gave for them.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        embedding_size: Numbers of an embedding, where they are asked for.
        label_groups: Labels of which the most probable is decided.
    """
    statuses = ["ok" if loaded.error is None else loaded.error.status for loaded in batch]
    errors = [None if loaded.error is None else str(loaded.error) for loaded in batch]
    if not values:  # No input could be loaded.
        shape = (len(batch), len(thresholds))
        names = ("probabilities", "logits", STABILITY)
        values = dict.fromkeys(names, np.zeros(shape, np.float32))
    probabilities = values["probabilities"]
    for name in ("probabilities", EMBEDDINGS):
        for row in np.flatnonzero(~np.isfinite(values.get(name, probabilities)).all(axis=1)):
            if statuses[row] == "ok":
                statuses[row] = "not_finite"
                errors[row] = f"The network's {name} are not finite."
    scored = np.array([status == "ok" for status in statuses])
    decisions = decide(probabilities, thresholds, label_groups) & scored[:, None]
    inputs = [loaded.scoring_input for loaded in batch]
    logits, embeddings = values.get("logits"), values.get(EMBEDDINGS)
    if embeddings is None and embedding_size:
        embeddings = np.zeros((len(batch), embedding_size), np.float32)
    return RowBlock(
        inputs,
        statuses,
        errors,
        probabilities,
        decisions,
        logits,
        embeddings=embeddings,
        stability=values.get(STABILITY),
    )


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
    stacked = stack_inputs(session, batch, batch_size)
    buffer.upload(stacked.images)
    values = run_network(buffer, stacked, outputs)
    groups = session.description.label_groups
    return make_rows(batch, values, thresholds, label_groups=groups), values
