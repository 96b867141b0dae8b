"""Where a batch is stacked, and how the network reads it: host memory, or copied to a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

INPUT_NAME = "images"


class InputBuffer:
    """The input of one batch in host memory.

    Attributes:
        images: `[slots, height, width, 3]`, to be overwritten between `run` and `upload`.

    Args:
        session: An `onnxruntime.InferenceSession` with the input `images`.
        shape: Shape of `images`.
        dtype: float32 or uint8.
    """

    def __init__(self, session: Any, shape: Sequence[int], dtype: str):
        self._session = session
        self.images = np.zeros(shape, dtype)

    def upload(self) -> None:
        """Makes `images` ready for the network."""

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The network's outputs by name."""
        values = self._session.run(list(outputs), {INPUT_NAME: self.images})
        return dict(zip(outputs, values, strict=True))
