"""Score rows before they are written: their columns and their values.

Columns: `image`, `status`, `error`, then `x`, `y`, `w`, `h` when the inputs had boxes, one
probability per label, `decisions`; on request one `logit:` column per label, and `peaks`, one entry
per decided label. A label that bears the name of another column gets the prefix `label:`.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.scoring.output.heatmap_peaks import Peaks
from export.scoring.sources.input import BOX_COLUMNS, ScoringInput

LABEL_PREFIX = "label:"
LOGIT_PREFIX = "logit:"


@dataclasses.dataclass(frozen=True)
class RowBlock:
    """Consecutive rows.

    Attributes:
        inputs: N inputs.
        statuses: N words; `ok` for a row with scores.
        errors: N messages; None for a row with scores.
        probabilities: float32 `[N, L]`; without meaning where the status is not `ok`.
        decisions: bool `[N, L]`; False where the status is not `ok`.
        logits: float32 `[N, L]`, where asked for.
        peaks: The heatmaps that the N rows show, where asked for.
    """

    inputs: Sequence[ScoringInput]
    statuses: Sequence[str]
    errors: Sequence[str | None]
    probabilities: np.ndarray
    decisions: np.ndarray
    logits: np.ndarray | None = None
    peaks: Peaks | None = None

    def take(self, numbers: Sequence[int]) -> "RowBlock":
        """Some of the rows, by their place in this block."""
        if len(numbers) == len(self.inputs):
            return self
        index = np.asarray(numbers)

        def chosen(values: Any) -> Any:
            if isinstance(values, np.ndarray):
                return values[index]
            if isinstance(values, Peaks):
                return values.take(index)
            return None if values is None else [values[number] for number in numbers]

        return RowBlock(*(chosen(getattr(self, field.name)) for field in dataclasses.fields(self)))

    @classmethod
    def join(cls, blocks: Sequence["RowBlock"]) -> "RowBlock":
        """The rows of several blocks, one behind the other."""

        def joined(values: Sequence[Any]) -> Any:
            if any(value is None for value in values):
                return None
            if isinstance(values[0], np.ndarray):
                return np.concatenate(values)
            if isinstance(values[0], Peaks):
                return Peaks.join(values)
            return list(itertools.chain.from_iterable(values))

        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(joined([getattr(block, name) for block in blocks]) for name in names))


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the labels, and which of the columns that are optional are written."""

    label_names: tuple[str, ...]
    has_boxes: bool = False
    has_logits: bool = False
    has_peaks: bool = False

    @property
    def leading(self) -> tuple[str, ...]:
        """The columns before the labels."""
        return ("image", "status", "error", *(BOX_COLUMNS if self.has_boxes else ()))

    @property
    def labels(self) -> tuple[str, ...]:
        """One distinct column name per label."""
        return _distinct(self.label_names, LABEL_PREFIX, {*self.leading, "decisions", "peaks"})

    @property
    def logits(self) -> tuple[str, ...]:
        """One distinct column name per label for its logit, or none."""
        if not self.has_logits:
            return ()
        names = [LOGIT_PREFIX + name for name in self.labels]
        return _distinct(names, LOGIT_PREFIX, {*self.leading, *self.labels, "decisions", "peaks"})

    @property
    def all(self) -> tuple[str, ...]:
        """All columns in the order of the file."""
        peaks = ("peaks",) if self.has_peaks else ()
        return (*self.leading, *self.labels, "decisions", *self.logits, *peaks)


def _distinct(names: Sequence[str], prefix: str, taken: set[str]) -> tuple[str, ...]:
    """The names, with the prefix before those that are taken."""
    taken, result = set(taken), []
    for name in names:
        while name in taken:
            name = prefix + name
        taken.add(name)
        result.append(name)
    return tuple(result)


def printable_path(path: str) -> str:
    """A path as valid Unicode: bytes that are not UTF-8 become escapes such as `\\xff`."""
    if path.isascii():
        return path
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
