"""What TensorBoard reads from the event files of a run, with its own reader."""

import os

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

ALL = 0  # Keep every point, not a sample.
_KINDS = ("scalars", "tensors", "images", "compressedHistograms", "histograms", "audio")


def read_events(folder) -> EventAccumulator:
    """The events of a folder of event files; nothing is left out, hidden or sampled."""
    reader = EventAccumulator(
        str(folder), size_guidance=dict.fromkeys(_KINDS, ALL), purge_orphaned_data=False
    )
    return reader.Reload()


def tags(folder) -> list[str]:
    """Every tag in a folder of event files."""
    return sorted(read_events(folder).Tags()["tensors"]) if os.path.isdir(folder) else []


def steps(folder, tag) -> list[int]:
    """The steps of a tag, in the order of the files."""
    return [event.step for event in read_events(folder).Tensors(tag)]


def values(folder, tag) -> list[float | np.ndarray]:
    """The values of a tag, in the order of the files."""
    arrays = [make_ndarray(event.tensor_proto) for event in read_events(folder).Tensors(tag)]
    return [array if array.ndim else float(array) for array in arrays]
