"""Which labels are taken for which, and which go wrong together."""

import dataclasses

import numpy as np
from scipy.sparse import csr_array

_FEWEST = 2  # Images that a pair must have to be shown.


@dataclasses.dataclass(frozen=True)
class LabelPair:
    """Two labels, by index.

    Attributes:
        first, second: of "first is taken for second", or just two.
        images: how many show it.
        expected: how many would if the errors of the two had nothing to do with each other.
    """

    first: int
    second: int
    images: int
    expected: float

    @property
    def lift(self) -> float:
        """How many times as often as expected."""
        return self.images / self.expected


def taken_for(judged: np.ndarray, decided: np.ndarray, most: int = 15) -> list[LabelPair]:
    """Pairs of a label that is missed and another that is decided wrongly in the same image.

    Args:
        judged: `[N, L]`, 0, 1 or NaN (no error either way).
        decided: bool `[N, L]`.
        most: pairs, those with the largest excess over chance.
    """
    missed, wrong = (judged == 1) & ~decided, (judged == 0) & decided
    return _most_frequent(missed, wrong, most)


def wrong_together(judged: np.ndarray, decided: np.ndarray, most: int = 15) -> list[LabelPair]:
    """Pairs of labels that are both decided wrongly (missed or false) in the same image.

    Arguments as of `taken_for`; the lower index comes first.
    """
    errors = ((judged == 1) & ~decided) | ((judged == 0) & decided)
    pairs = _most_frequent(errors, errors, 2 * most + errors.shape[1])
    return [pair for pair in pairs if pair.first < pair.second][:most]


def _together(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """In how many images both are true, int64 `[L, L]`; sparse, since errors are few."""
    first, second = (csr_array(cells.astype(np.int64)) for cells in (rows.T, columns))
    return (first @ second).toarray()


def _most_frequent(rows, columns, most):
    """Pairs by falling excess over what independence would give, more often than that."""
    counts = _together(rows, columns)
    expected = np.outer(rows.sum(axis=0), columns.sum(axis=0)) / len(rows)
    excess = np.where(counts >= _FEWEST, counts - expected, 0.0)
    np.fill_diagonal(excess, 0.0)
    order = np.argsort(-excess, axis=None, kind="stable")[:most]
    return [
        LabelPair(int(i), int(j), int(counts[i, j]), float(expected[i, j]))
        for i, j in zip(*np.unravel_index(order, excess.shape), strict=True)
        if excess[i, j] > 0
    ]


def confusion_matrix(
    judged: np.ndarray, decided: np.ndarray, most: int = 12
) -> tuple[list[int], list[list[int]]]:
    """The labels that are confused most, and how often each is missed where another is decided.

    Args:
        judged, decided: as of `taken_for`.
        most: labels.

    Returns:
        Indices of labels, and rows (missed) of numbers of images by columns (decided wrongly); both
        empty without any confusion.
    """
    missed, wrong = (judged == 1) & ~decided, (judged == 0) & decided
    counts = _together(missed, wrong)
    involved = counts.sum(axis=0) + counts.sum(axis=1)
    labels = [
        int(label) for label in np.argsort(-involved, kind="stable")[:most] if involved[label]
    ]
    return labels, counts[np.ix_(labels, labels)].tolist() if labels else []
