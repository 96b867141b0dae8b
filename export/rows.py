"""Score rows before they are written: their columns and their values.

Columns: `image`, `status`, `error`, then `x`, `y`, `w`, `h` when the inputs had boxes, one
probability per label, `decisions`. A label that bears the name of another column gets the
prefix `label:`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from export.scoring_input import BOX_COLUMNS, ScoringInput

LABEL_PREFIX = "label:"


@dataclasses.dataclass(frozen=True)
class RowBlock:
    """Consecutive rows.

    Attributes:
        inputs: N inputs.
        statuses: N words; `ok` for a row with scores.
        errors: N messages; None for a row with scores.
        probabilities: float32 `[N, L]`; without meaning where the status is not `ok`.
        decisions: bool `[N, L]`; False where the status is not `ok`.
    """

    inputs: Sequence[ScoringInput]
    statuses: Sequence[str]
    errors: Sequence[str | None]
    probabilities: np.ndarray
    decisions: np.ndarray


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the labels and whether boxes are written."""

    label_names: tuple[str, ...]
    has_boxes: bool = False

    @property
    def leading(self) -> tuple[str, ...]:
        """The columns before the labels."""
        return ("image", "status", "error", *(BOX_COLUMNS if self.has_boxes else ()))

    @property
    def labels(self) -> tuple[str, ...]:
        """One distinct column name per label."""
        taken = {*self.leading, "decisions"}
        names = []
        for name in self.label_names:
            while name in taken:
                name = LABEL_PREFIX + name
            taken.add(name)
            names.append(name)
        return tuple(names)

    @property
    def all(self) -> tuple[str, ...]:
        """All columns in the order of the file."""
        return (*self.leading, *self.labels, "decisions")


def printable_path(path: str) -> str:
    """A path as valid Unicode: bytes that are not UTF-8 become escapes such as `\\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
