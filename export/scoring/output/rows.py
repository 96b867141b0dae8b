"""Score rows before they are written: their columns and their values.

Columns: `image`, `status`, `error`, then `x`, `y`, `w`, `h` when the inputs had boxes, one
probability per label (or `top`, the most probable labels with theirs), `decisions`; on request one
`logit:` column per label; of a model that averages views one `stability:` column per label (or an
entry of `top`); on request `peaks`, one entry per decided label, and `embedding`. A label that
bears the name of another column gets the prefix `label:`.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from export.bundle.score_histograms import count_bins
from export.scoring.output.heatmap_peaks import Peaks
from export.scoring.sources.input import BOX_COLUMNS, ScoringInput

LABEL_PREFIX = "label:"
LOGIT_PREFIX = "logit:"
STABILITY_PREFIX = "stability:"


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
        embeddings: float32 `[N, C]`, where asked for.
        stability: float32 `[N, L]`, where the model averages views.
    """

    inputs: Sequence[ScoringInput]
    statuses: Sequence[str]
    errors: Sequence[str | None]
    probabilities: np.ndarray
    decisions: np.ndarray
    logits: np.ndarray | None = None
    peaks: Peaks | None = None
    embeddings: np.ndarray | None = None
    stability: np.ndarray | None = None

    def asked(self, name: str) -> Any:
        """`logits`, `peaks`, `embeddings` or `stability`, of a job that has them.

        Raises:
            ValueError: the rows have none.
        """
        if (values := getattr(self, name)) is None:
            raise ValueError(f"These rows have no {name}, which the job's columns have.")
        return values

    def top_labels(self, count: int) -> np.ndarray:
        """int `[N, K]`: the most probable labels, the first first; of equal ones the earlier."""
        return np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]

    def score_counts(self) -> np.ndarray:
        """How many of the rows with scores lie in each bin, int64 `[L, BINS]`."""
        return count_bins(self.probabilities[[status == "ok" for status in self.statuses]])

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


class RowWriter(Protocol):
    """A writer of rows, into a file that the caller opened and closes."""

    def write(self, block: RowBlock) -> None:
        """Adds rows."""

    def append_part(self, path: str) -> None:
        """Adds the rows of a finished part."""

    def append_replaced(self, path: str, rows: Sequence[int], parts: Sequence[str]) -> None:
        """Adds the rows of a finished output, some of them replaced by those of parts."""

    def close(self) -> None:
        """Writes what waits."""

    def abandon(self) -> None:
        """Writes no more."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the labels, and which of the columns that are optional are written.

    Attributes:
        label_names: L names.
        has_boxes, has_logits, has_peaks: Whether there are such columns.
        top_k: How many labels the column `top` holds, instead of a column per label; 0: there is
            none.
        embedding_size: Numbers of an embedding; 0: there is no such column.
        has_stability: Whether the probability of each label has its stability.
    """

    label_names: tuple[str, ...]
    has_boxes: bool = False
    has_logits: bool = False
    has_peaks: bool = False
    top_k: int = 0
    embedding_size: int = 0
    has_stability: bool = False

    @property
    def leading(self) -> tuple[str, ...]:
        """The columns before the labels."""
        return ("image", "status", "error", *(BOX_COLUMNS if self.has_boxes else ()))

    @property
    def labels(self) -> tuple[str, ...]:
        """One distinct column name per label, or none where `top` stands for them."""
        return () if self.top_k else _distinct(self.label_names, LABEL_PREFIX, self._others)

    @property
    def logits(self) -> tuple[str, ...]:
        """One distinct column name per label for its logit, or none."""
        if not self.has_logits:
            return ()
        names = [LOGIT_PREFIX + name for name in self.labels]
        return _distinct(names, LOGIT_PREFIX, {*self._others, *self.labels})

    @property
    def stability(self) -> tuple[str, ...]:
        """One distinct column name per label for its stability, or none."""
        if not self.has_stability:
            return ()
        names = [STABILITY_PREFIX + name for name in self.labels]
        return _distinct(names, STABILITY_PREFIX, {*self._others, *self.labels, *self.logits})

    @property
    def all(self) -> tuple[str, ...]:
        """All columns in the order of the file."""
        top = ("top",) if self.top_k else ()
        peaks = ("peaks",) if self.has_peaks else ()
        embedding = ("embedding",) if self.embedding_size else ()
        scores = (*self.labels, *top, "decisions", *self.logits, *self.stability)
        return (*self.leading, *scores, *peaks, *embedding)

    @property
    def _others(self) -> set[str]:
        """Names that no column of a label may have."""
        embedding = ("embedding",) if self.embedding_size else ()
        return {*self.leading, "decisions", "peaks", *embedding}


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
