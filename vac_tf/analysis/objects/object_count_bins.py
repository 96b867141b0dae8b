"""Bins of images by the number of their objects."""

import numpy as np

# Most objects of an image in each bin of clutter but the last.
_CLUTTER_EDGES = (1, 3, 7, 15)


def clutter_bins() -> list[tuple[int, float]]:
    """Fewest and most objects of every bin: doubling, for few images have many objects."""
    edges = [0, *_CLUTTER_EDGES, np.inf]
    return [(low + 1, high) for low, high in zip(edges, edges[1:], strict=False)]


def bin_name(low: int, high: float) -> str:
    """ "1", "2 to 3", "16 or more"."""
    if high == np.inf:
        return f"{low} or more"
    return str(low) if low == high else f"{low} to {high}"
