"""Which pixels a resized axis is made of. NumPy only: training, pages and audits share it."""

import functools

import numpy as np


@functools.cache
def resize_matrix(num_inputs: int, num_outputs: int) -> np.ndarray:
    """The antialiased bilinear filter along one axis.

    A triangle around the place of every output, as wide as an output (at least as an input) on
    either side, sampled at the centres of the inputs; its weights sum to 1.

    Args:
        num_inputs: Pixels of the axis.
        num_outputs: Pixels after resizing.

    Returns:
        float32 `[num_outputs, num_inputs]`, not to be changed.
    """
    # TensorFlow places its samples in float32; placed exactly, values differ by 0.006 grey levels.
    one, half = np.float32(1.0), np.float32(0.5)
    scale = one / (np.float32(num_outputs) / np.float32(num_inputs))
    places = (np.arange(num_outputs, dtype="float32") + half) * scale
    centres = np.arange(num_inputs, dtype="float32") + half
    distances = np.abs(places[:, None] - centres) * (one / max(scale, one))
    weights = np.maximum(one - distances, np.float32(0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights


def nearest_places(num_inputs: int, num_outputs: int) -> np.ndarray:
    """int32 `[num_outputs]`: the input index that Pillow's NEAREST takes for every output.

    Pillow adds the step `n_in / n_out` up in float64, from half a step on, and cuts the fraction
    off. Where a position falls on a border between two pixels, which is a third of the columns from
    640 to 192, the rounding of that sum decides; so it is the same sum here, term by term.
    """
    step = num_inputs / num_outputs
    return np.add.accumulate([step / 2, *[step] * (num_outputs - 1)]).astype("int32")
