"""Whether tuned thresholds may replace the fixed one, label by label. No TensorFlow.

A tuned threshold is worth as much as the images that it was tuned on: through few positives, or
through scores that know nothing of a label, the best cut decides by chance, and often everything.
So a label keeps the fixed threshold unless its cross-fitted F-beta is surely higher, and its
alarms stay in proportion to its positives. An objective that is a demand (a precision, a rate of
alarms) has no gain: there only the alarms are judged.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from vac_tf.decisions.objectives import Objective, fbeta
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts

SAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Gain:
    """A change of a metric on images that were not tuned on, and its 95 % interval.

    `interval` is a bootstrap over images, or groups of them.
    """

    value: float
    interval: tuple[float, float]

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies above 0."""
        return self.interval[0] > 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"value": self.value, "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is wrong with the tuned thresholds of L labels.

    Attributes:
        refused: Why no label may take its tuned threshold, or None.
        reasons: L times why a label keeps the fixed threshold, or None.
        gains: L gains of F-beta; None where the objective or the label has none.
        overall: Gain of F-beta over the labels (`C`) and over all decisions (`O`), of the rule
            that keeps what each fold's other folds say; empty for other objectives.
    """

    refused: str | None
    reasons: tuple[str | None, ...]
    gains: tuple[Gain | None, ...]
    overall: dict[str, Gain]

    @property
    def kept(self) -> np.ndarray:
        """bool `[L]`: labels that keep the fixed threshold."""
        return np.array([self.refused is not None or reason is not None for reason in self.reasons])

    def with_reasons(self, others: tuple[str | None, ...]) -> "Verdict":
        """With further reasons to keep labels, where there is none yet."""
        reasons = tuple(own or other for own, other in zip(self.reasons, others, strict=True))
        refused = self.refused or ("every label keeps it" if all(reasons) else None)
        return dataclasses.replace(self, reasons=reasons, refused=refused)


def cross_fitted_verdict(
    labels: np.ndarray,
    fixed: np.ndarray,
    tuned: np.ndarray,
    folds: np.ndarray,
    units: np.ndarray,
    objective: Objective,
    seed: int = 0,
) -> tuple[Verdict, np.ndarray]:
    """The verdict on cross-fitted decisions, and what following it would have decided.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        fixed: bool `[N, L]`, decisions of the fixed threshold.
        tuned: bool `[N, L]`, of thresholds tuned on the other folds.
        folds: int `[N]`.
        units: int `[N]`, number of the unit (image, group of images) of each example.
        objective: What was tuned for.
        seed: Of the bootstrap.

    Returns:
        The verdict; and bool `[N, L]`, the decisions when each fold keeps those labels that the
        verdict on the other folds keeps, so that no image judges itself.
    """
    judged = fixed.copy()
    for fold in np.unique(folds):
        inside = folds == fold
        others = (values[~inside] for values in (labels, fixed, tuned, units))
        reasons, _ = _judge_labels(*others, objective, seed)
        kept = np.array([reason is not None for reason in reasons])
        judged[inside] = np.where(kept, fixed[inside], tuned[inside])
    reasons, gains = _judge_labels(labels, fixed, tuned, units, objective, seed)
    overall, refused = {}, None
    if objective.kind == "fbeta":
        overall = _overall(labels, fixed, judged, units, objective, seed)
        refused = _refusal(overall, objective)
    if all(reasons):
        refused = refused or "every label keeps it"
    return Verdict(refused, reasons, gains, overall), judged


def too_many_alarms(
    labels: np.ndarray, fixed: np.ndarray, tuned: np.ndarray, objective: Objective
) -> tuple[str | None, ...]:
    """L times what is wrong with a label's alarms, or None.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        fixed: bool `[N, L]`, decisions of the fixed threshold; as many alarms are no fault.
        tuned: bool `[N, L]`.
        objective: Its `most_alarms` is the limit.
    """
    known = ~np.isnan(labels)
    count = np.maximum(known.sum(axis=0), 1)
    positives, before, after = (
        (values & known).sum(axis=0) / count for values in (labels == 1, fixed, tuned)
    )
    is_wrong = (after > objective.most_alarms(positives)) & (after > before)
    return tuple(
        f"would be decided on {after[label]:.1%} of the images, {positives[label]:.1%} have it"
        if wrong
        else None
        for label, wrong in enumerate(is_wrong)
    )


def decision_rates(labels: np.ndarray, decided: np.ndarray) -> list[dict[str, float | None]]:
    """For each label `alarm_rate`, `precision` and `recall`, None where undefined.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        decided: bool `[N, L]`.
    """
    known, positive = ~np.isnan(labels), labels == 1
    decided = decided & known
    rows = zip(
        known.sum(axis=0),
        decided.sum(axis=0),
        positive.sum(axis=0),
        (decided & positive).sum(axis=0),
        strict=True,
    )
    return [
        {
            "alarm_rate": float(alarms / count) if count else None,
            "precision": float(hits / alarms) if alarms else None,
            "recall": float(hits / positives) if positives else None,
        }
        for count, alarms, positives, hits in rows
    ]


def _judge_labels(labels, fixed, tuned, units, objective, seed):
    """L reasons to keep the fixed threshold, and L gains; None each where there is none."""
    reasons = list(too_many_alarms(labels, fixed, tuned, objective))
    gains = [None] * labels.shape[1]
    if objective.kind != "fbeta":
        return tuple(reasons), tuple(gains)
    positives = (labels == 1).sum(axis=0)
    before, after = (_values(labels, row, objective.value)[0] for row in (fixed, tuned))
    resampled = _resampled(labels, (fixed, tuned), units, objective.value, seed)
    draws = np.concatenate([after[0] - before[0] for before, after in resampled])
    for label in range(labels.shape[1]):
        if not positives[label]:
            reasons[label] = reasons[label] or "no positive to tune on"
            continue
        interval = percentile_interval(draws[:, label])
        gains[label] = gain = Gain(float(after[label] - before[label]), interval)
        if not gain.is_sure:
            reasons[label] = reasons[label] or f"no sure gain of F: {gain}"
    return tuple(reasons), tuple(gains)


def _overall(labels, fixed, judged, units, objective, seed) -> dict[str, Gain]:
    counted = (labels == 1).any(axis=0)
    rows = [_values(labels, row, objective.value) for row in (fixed, judged)]
    draws = {"C": [], "O": []}
    for before, after in _resampled(labels, (fixed, judged), units, objective.value, seed):
        draws["C"].append((after[0] - before[0])[:, counted].mean(axis=1))
        draws["O"].append(after[1] - before[1])
    differences = {
        "C": (rows[1][0] - rows[0][0])[counted].mean(),
        "O": rows[1][1] - rows[0][1],
    }
    return {
        name: Gain(float(value), percentile_interval(np.concatenate(draws[name])))
        for name, value in differences.items()
    }


def _refusal(overall: dict[str, Gain], objective: Objective) -> str | None:
    name = f"F{objective.value:g}"
    if not overall["C"].is_sure:
        return f"{name}-C gains {overall['C']} on unseen images: not surely more than nothing"
    if overall["O"].interval[1] < 0:
        return f"{name}-O changes by {overall['O']} on unseen images: surely a loss"
    return None


def _values(labels, decided, beta) -> tuple[np.ndarray, float]:
    """F-beta of every label `[L]` and of all decisions together."""
    positive = labels == 1
    decided = decided & ~np.isnan(labels)
    hits, alarms, positives = (
        values.sum(axis=0) for values in (decided & positive, decided, positive)
    )
    return fbeta(hits, alarms, positives, beta), float(
        fbeta(hits.sum(), alarms.sum(), positives.sum(), beta)
    )


def _resampled(labels, decisions, units, beta, seed) -> Iterator[list]:
    """For each chunk of resamples of the units, `_values` `[S', L]` and `[S']` of all decisions.

    Examples of one unit (boxes of an image, images of a person) are drawn together.
    """
    numbers, owners = np.unique(units, return_inverse=True)
    shape = (len(numbers), len(units))
    summed = csr_array((np.ones(len(units), np.float32), (owners, np.arange(len(units)))), shape)
    known, positive = ~np.isnan(labels), labels == 1

    def per_unit(values):
        return summed @ values.astype(np.float32)

    positives = per_unit(positive)
    rows = [(per_unit(row & positive), per_unit(row & known)) for row in decisions]
    for counts in resample_counts(len(numbers), SAMPLES, seed):
        drawn = counts.T @ positives
        values = []
        for hits, alarms in rows:
            totals = (counts.T @ hits, counts.T @ alarms, drawn)
            values.append(
                (fbeta(*totals, beta), fbeta(*(total.sum(axis=1) for total in totals), beta))
            )
        yield values
