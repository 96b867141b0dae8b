"""How the network reads a batch: where it lies in host memory, or copied to a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

INPUT_NAME = "images"


class InputBuffer:
    """The input of one batch, read where it lies.

    Args:
        session: An `onnxruntime.InferenceSession` with the input `images`.
    """

    def __init__(self, session: Any):
        self._session = session
        self._images: np.ndarray | None = None

    def upload(self, images: np.ndarray) -> None:
        """Makes `[slots, height, width, 3]` ready for the network; it stays as it is until `run`.

        Args:
            images: Of the dtype that the network takes.
        """
        self._images = images

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The network's outputs for the images last uploaded, by name."""
        values = self._session.run(list(outputs), {INPUT_NAME: self._images})
        return dict(zip(outputs, values, strict=True))
