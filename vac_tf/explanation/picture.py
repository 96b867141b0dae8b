"""One image on its way to a model and to people."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image, or why there is none.

    Attributes:
        name: As it was named in the list or found in the folder.
        title: The same for people, without the folder that all have in common.
        values: float32 `[H, W, 3]`, RGB in 0..255: the network's input; None where it cannot be
            read.
        shown: uint8 `[h, w, 3]`: the same for people, with its own proportions.
        problem: Why it cannot be read.
        status: The kind of problem (`missing`, `unreadable`, ...), or `ok`.
    """

    name: str
    title: str
    values: np.ndarray | None = None
    shown: np.ndarray | None = None
    problem: str = ""
    status: str = "ok"


def batches(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Pictures in lists, each with at most `size` that can be read; order is kept."""
    batch, readable = [], 0
    for picture in pictures:
        batch.append(picture)
        readable += picture.values is not None
        if readable == size:
            yield batch
            batch, readable = [], 0
    if batch:
        yield batch
