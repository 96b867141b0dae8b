"""The drift of a job: how far its scores are from those of its reference."""

import dataclasses
from typing import Any

import numpy as np

from export.bundle.score_histograms import ScoreHistograms
from export.scoring.drift.measures import (
    chance,
    jensen_shannon_divergence,
    population_stability_index,
)

_SHOWN = 3  # Labels that the last lines of a job name.
_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class Figures:
    """The drift of a label, or the mean of all labels.

    Attributes:
        psi: Population stability index.
        psi_by_chance: What it is on average without drift, with so few images.
        psi_limit: Where it is below without drift, in 99 of 100 samples.
        js: Jensen-Shannon divergence in bits.
    """

    psi: float
    psi_by_chance: float
    psi_limit: float
    js: float

    @property
    def excess(self) -> float:
        """The index without what chance is expected to add, at least 0."""
        return max(self.psi - self.psi_by_chance, 0.0)

    @property
    def is_above_chance(self) -> bool:
        """Whether chance hardly explains the index."""
        return self.psi > self.psi_limit

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {name: round(value, _DIGITS) for name, value in dataclasses.asdict(self).items()}
        return {**values, "is_above_chance": self.is_above_chance}


@dataclasses.dataclass(frozen=True)
class Drift:
    """The drift of a job.

    Attributes:
        reference_images: Number of images of the reference.
        images: Number of images with scores.
        labels: Figures by label.
        most: The limit of `--max_drift`; 0: none.
    """

    reference_images: int
    images: int
    labels: dict[str, Figures]
    most: float = 0.0

    @property
    def overall(self) -> Figures:
        """The means over all labels.

        That of the limits is the limit of the mean where all labels move together, as those of an
        image may; of labels that are independent of each other it is a limit too, and a wide one.
        """
        values = [dataclasses.astuple(figures) for figures in self.labels.values()]
        return Figures(*(float(value) for value in np.mean(values, axis=0)))

    @property
    def is_too_large(self) -> bool:
        """Whether it is above the limit that was given, and not by chance."""
        overall = self.overall
        return 0.0 < self.most < overall.excess and overall.is_above_chance

    @property
    def drifted_labels(self) -> dict[str, Figures]:
        """Those above chance, the largest excess first."""
        found = [(name, own) for name, own in self.labels.items() if own.is_above_chance]
        return dict(sorted(found, key=lambda pair: -pair[1].excess))

    def to_json(self) -> dict[str, Any]:
        """What `OUTPUT.drift.json` holds."""
        return {
            "reference_images": self.reference_images,
            "images": self.images,
            "max_drift": self.most or None,
            "is_too_large": self.is_too_large,
            "overall": self.overall.to_json(),
            "labels": {name: figures.to_json() for name, figures in self.labels.items()},
        }

    def __str__(self) -> str:
        overall, drifted = self.overall, self.drifted_labels
        line = (
            f"Drift of {self.images} images from {self.reference_images} of the reference: PSI"
            f" {overall.psi:.3f} (by chance {overall.psi_by_chance:.3f} on average, seldom above"
            f" {overall.psi_limit:.3f}), JS {overall.js:.3f}"
        )
        shown = list(drifted.items())[:_SHOWN]
        if shown:
            names = ", ".join(f"{name} {figures.psi:.3f}" for name, figures in shown)
            line += f"; {len(drifted)} of {len(self.labels)} labels above chance: {names}"
            line += ", ..." if len(drifted) > _SHOWN else ""
        if self.is_too_large:
            line += (
                f"\nDrifted: the PSI beyond that of chance is {overall.excess:.3f}, above"
                f" --max_drift={self.most:g}."
            )
        return line


def measure_drift(
    reference: ScoreHistograms, current: ScoreHistograms, most: float = 0.0
) -> Drift | None:
    """How far the scores of `current` are from those of `reference`; None without any scores.

    Args:
        reference: Histograms of the same labels in the same order.
        current: Those of a job.
        most: The limit of `--max_drift`; 0: none.
    """
    if not current.images or not reference.images:
        return None
    first, second = reference.array, current.array
    psi, js = population_stability_index(first, second), jensen_shannon_divergence(first, second)
    by_chance = chance(first, second)
    columns = psi, by_chance.expected, by_chance.limit, js
    rows = zip(*(column.tolist() for column in columns), strict=True)
    labels = dict(zip(current.label_names, (Figures(*row) for row in rows), strict=True))
    return Drift(reference.images, current.images, labels, most)
