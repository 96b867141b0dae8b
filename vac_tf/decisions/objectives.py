"""What a threshold is tuned for, and the best cut through the scores of one label. NumPy only.

A cut divides the sorted scores between two different values; its threshold lies midway between
them. Cuts therefore depend on the order of the scores alone.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

NEVER = np.float32(1.0)
"""No probability is above it: a label with this threshold is never decided."""

_FORMS = "f1, fbeta:BETA (such as fbeta:2), precision:FLOOR (precision:0.9), alarm_rate:RATE (0.01)"


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a threshold is tuned for.

    Attributes:
        kind: `fbeta`: the largest F-beta; `precision`: the largest recall whose precision is at
            least the floor; `alarm_rate`: as many images as possible, at most this share.
        value: beta, floor or rate.
    """

    kind: str
    value: float

    @property
    def name(self) -> str:
        """As `parse_objective` takes it."""
        return "f1" if (self.kind, self.value) == ("fbeta", 1.0) else f"{self.kind}:{self.value:g}"

    def most_alarms(self, positives: np.ndarray) -> np.ndarray:
        """The largest share of images that a label may be decided on, `[L]` in 0..1.

        Twice what the objective's best rule for a label that is known well would decide: the
        positives, weighed as F-beta weighs misses (1 + beta^2), or as many as the precision
        allows; and no more than half-way from the positives to everything, where a decision says
        nothing. A rate of alarms is its own limit.

        Args:
            positives: Share of the images that have the label, `[L]`.
        """
        if self.kind == "alarm_rate":
            return np.ones_like(positives)
        factor = 1 + self.value**2 if self.kind == "fbeta" else 1 / self.value
        return np.minimum(2 * factor * positives, (1 + positives) / 2)

    def measure(self, labels: np.ndarray, decided: np.ndarray) -> dict[str, float | int | None]:
        """What the objective asks for beyond the usual metrics.

        Args:
            labels: `[N, L]`, values 0, 1 or NaN (left out).
            decided: bool `[N, L]`.

        Returns:
            `fbeta:2`: `F2-C`, the mean over labels with positives. A precision floor:
            `labels_below_floor`, how many of the labels that are decided at all. An alarm rate:
            `largest_alarm_rate` of a label.
        """
        known, positive = ~np.isnan(labels), labels == 1
        decided = decided & known
        hits, alarms = (decided & positive).sum(axis=0), decided.sum(axis=0)
        if self.kind == "precision":
            below = hits / np.maximum(alarms, 1) < self.value
            return {"labels_below_floor": int(np.sum(below & (alarms > 0)))}
        if self.kind == "alarm_rate":
            rates = alarms / np.maximum(known.sum(axis=0), 1)
            return {"largest_alarm_rate": float(rates.max())}
        if self.value == 1.0:
            return {}
        positives = positive.sum(axis=0)
        counted = positives > 0
        scores = fbeta(hits, alarms, positives, self.value)[counted]
        return {f"F{self.value:g}-C": float(scores.mean()) if counted.any() else None}


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Every way to divide the scores of one label, from the fewest alarms to the most.

    Attributes:
        thresholds: float32 `[K]`, falling.
        scores: float64 `[K]`, the lowest score above each threshold; 1 for the cut without alarms.
        alarms: int `[K]`, scores above each threshold.
        hits: int `[K]`, positives among them.
        positives: All positives.
        count: All scores.
    """

    thresholds: np.ndarray
    scores: np.ndarray
    alarms: np.ndarray
    hits: np.ndarray
    positives: int
    count: int


def parse_objective(text: str) -> Objective:
    """Reads `f1`, `fbeta:2`, `precision:0.9` or `alarm_rate:0.01`.

    Raises:
        ValueError: for anything else, or a value out of its range.
    """
    kind, _, value = text.partition(":")
    if text == "f1":
        return Objective("fbeta", 1.0)
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    in_range = {
        "fbeta": 0.0 < number < float("inf"),
        "precision": 0.0 < number <= 1.0,
        "alarm_rate": 0.0 < number < 1.0,
    }
    if not in_range.get(kind, False):
        raise ValueError(f"Unknown threshold_objective {text!r}. Expected one of: {_FORMS}.")
    return Objective(kind, number)


def find_cuts(labels: np.ndarray, probabilities: np.ndarray) -> Cuts:
    """All cuts, "no alarm" included.

    Args:
        labels: `[N]`, values 0 and 1; N at least 1.
        probabilities: float32 `[N]`. A probability of 0 is above no threshold.
    """
    order = np.argsort(-probabilities, kind="stable")
    scores = probabilities[order].astype(np.float64)
    is_last_of_ties = np.append(scores[1:] != scores[:-1], True)
    is_last_of_ties &= scores > 0.0
    alarms = np.append(0, np.flatnonzero(is_last_of_ties) + 1)
    hits = np.append(0, np.cumsum(labels[order] == 1))[alarms]
    lowest_above, highest_below = np.append(1.0, scores)[alarms], np.append(scores, 0.0)[alarms]
    thresholds = _midway(lowest_above, highest_below)
    return Cuts(thresholds, lowest_above, alarms, hits, int(np.sum(labels == 1)), len(labels))


def best_threshold(cuts: Cuts, objective: Objective) -> np.float32:
    """The threshold of the best cut; among equals the one of fewest alarms.

    Where no cut reaches the precision floor it is `NEVER`.
    """
    if objective.kind == "alarm_rate":
        return cuts.thresholds[np.flatnonzero(cuts.alarms / cuts.count <= objective.value)[-1]]
    if objective.kind == "precision":
        precise = cuts.hits / np.maximum(cuts.alarms, 1) >= objective.value
        return cuts.thresholds[np.argmax(cuts.hits * precise)] if precise.any() else NEVER
    return cuts.thresholds[
        np.argmax(fbeta(cuts.hits, cuts.alarms, cuts.positives, objective.value))
    ]


def best_shared_threshold(cuts_of_labels: Sequence[Cuts], objective: Objective) -> np.float32:
    """The one threshold for several labels with the largest mean of their F-beta.

    Args:
        cuts_of_labels: At least one, each with positives.
        objective: Of kind `fbeta`.
    """
    scores, jumps = [], []
    for cuts in cuts_of_labels:
        values = fbeta(cuts.hits, cuts.alarms, cuts.positives, objective.value)
        # Lowered past a score, the threshold takes the label from one cut to the next.
        scores.append(cuts.scores[1:])
        jumps.append(np.diff(values))
    scores = np.concatenate(scores)
    order = np.argsort(-scores, kind="stable")
    scores, sums = scores[order], np.cumsum(np.concatenate(jumps)[order])
    is_last_of_ties = np.append(scores[1:] != scores[:-1], True)
    best = np.argmax(np.where(is_last_of_ties, sums, -np.inf))
    return _midway(scores[best], np.append(scores, 0.0)[best + 1])


def _midway(above, below) -> np.ndarray:
    """A float32 threshold between two float32 scores: the upper one is above it, the lower not."""
    middle = ((above + below) / 2).astype(np.float32)
    # Between neighbours among the float32 numbers the middle may round up to the upper one.
    return np.where(middle < above, middle, below).astype(np.float32)


def fbeta(hits, alarms, positives, beta: float) -> np.ndarray:
    """F-beta = (1 + beta^2) hits / (beta^2 positives + alarms); 0 where that is 0 / 0."""
    denominator = beta**2 * positives + alarms
    return (1 + beta**2) * hits / np.where(denominator > 0, denominator, 1)
