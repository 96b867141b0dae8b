"""How the probabilities of images are spread, label by label: the reference of a drift.

Bins are one unit of the logit wide, from below -6 to above 6: probabilities of many labels lie
close to 0, where bins of equal width would see no difference.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_LARGEST_LOGIT = 6
# Between bins; 7 digits of a float32 tell them apart from what a network computes.
EDGES = tuple(
    round(1.0 / (1.0 + float(np.exp(-logit))), 7)
    for logit in range(-_LARGEST_LOGIT, _LARGEST_LOGIT + 1)
)
BINS = len(EDGES) + 1
_MOST_IMAGES = 2**40  # More are no count but damage.


@dataclasses.dataclass(frozen=True)
class ScoreHistograms:
    """Numbers of images by label and bin.

    Attributes:
        label_names: L names.
        counts: L times `BINS` numbers; those of a label add up to the number of images.
    """

    label_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.counts[0])

    @property
    def array(self) -> np.ndarray:
        """The counts, int64 `[L, BINS]`."""
        return np.array(self.counts, np.int64)

    @classmethod
    def from_array(cls, label_names: Sequence[str], counts: np.ndarray) -> "ScoreHistograms":
        """Histograms with these counts, whole numbers `[L, BINS]`."""
        return cls(tuple(label_names), tuple(map(tuple, counts.tolist())))

    def to_json(self) -> dict[str, Any]:
        """Plain values; the counts of a label are one text, so that files stay readable."""
        counts = (" ".join(map(str, own)) for own in self.counts)
        return {
            "images": self.images,
            "edges": list(EDGES),
            "counts": dict(zip(self.label_names, counts, strict=True)),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], label_names: Sequence[str]) -> "ScoreHistograms":
        """Reads `to_json` back.

        Args:
            values: What it gave.
            label_names: The labels that it must be of; their order may differ.

        Raises:
            ValueError: when it is of other labels or bins, or no histograms at all.
        """
        counts = values.get("counts")
        if not isinstance(counts, dict) or not all(isinstance(t, str) for t in counts.values()):
            raise ValueError("its histograms of scores have no counts by label.")
        if values.get("edges") != list(EDGES):
            raise ValueError("its histograms of scores have other bins than this program's.")
        _check_labels(list(counts), label_names)
        read = tuple(_numbers(name, counts[name]) for name in label_names)
        if len(set(map(sum, read))) != 1:
            raise ValueError("its histograms of scores count another number of images per label.")
        return cls(tuple(label_names), read)


def count_bins(probabilities: np.ndarray) -> np.ndarray:
    """How many of N finite probabilities `[N, L]` lie in each bin, int64 `[L, BINS]`.

    An edge belongs to the bin above it.
    """
    labels = probabilities.shape[1]
    bins = np.searchsorted(np.array(EDGES, np.float32), probabilities, side="right")
    places = bins + np.arange(labels) * BINS
    return np.bincount(places.ravel(), minlength=labels * BINS).reshape(labels, BINS)


def _check_labels(found: Sequence[str], expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in set(found)]
    extra = [name for name in found if name not in set(expected)]
    if missing or extra:
        raise ValueError(
            "its histograms of scores are of other labels: missing are"
            f" {_some(missing)}, not expected {_some(extra)}."
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown or "none"


def _numbers(name: str, text: str) -> tuple[int, ...]:
    words = text.split()
    numbers = tuple(int(word) for word in words if word.isascii() and word.isdigit())
    if len(numbers) != len(words) or len(numbers) != BINS or sum(numbers) > _MOST_IMAGES:
        raise ValueError(
            f"its histogram of {name!r} is {text[:40]!r}, expected {BINS} whole numbers."
        )
    return numbers
