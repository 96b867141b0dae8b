"""The numbers at the top of the page: each with its interval, and what chance gives."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vac_tf.analysis.comparison.average_precision_gain import LEAST_POSITIVES
from vac_tf.inputs.settings import known_labels
from vac_tf.report.intervals import (
    Interval,
    bootstrap_intervals,
    chance_average_precision,
    chance_level,
    resamples_for,
)
from vac_tf.report.legend import EXAMPLE_BASED, LABEL_BASED


@dataclasses.dataclass(frozen=True)
class Measured:
    """One value, 0 to 1 or None; its 95 % interval; what chance gives."""

    name: str
    value: float | None
    interval: Interval
    chance: float | None


@dataclasses.dataclass(frozen=True)
class Headlines:
    """All values over labels and over images; the AP of each label; how many resamples."""

    label_based: Sequence[Measured]
    example_based: Sequence[Measured]
    labels: Sequence[Measured]
    samples: int

    def __getitem__(self, name: str) -> Measured:
        return next(
            value for value in (*self.label_based, *self.example_based) if value.name == name
        )


def judged_labels(labels: np.ndarray, unknown: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels `[N, L]` for average precision, and for decisions, with NaN where left out there."""
    judged = known_labels(labels, unknown)
    return (judged if unknown == "negative" else labels), judged


def measure_headlines(
    labels: np.ndarray,
    logits: np.ndarray,
    decided: np.ndarray,
    results: dict,
    unknown: str,
    units: np.ndarray | None = None,
) -> Headlines:
    """Sets intervals and chance beside the results of an evaluation.

    Args:
        labels: `[N, L]`, 0, 1 or NaN.
        logits: `[N, L]`, which rank.
        decided: bool `[N, L]`.
        results: the dict of `vac_tf.metrics.evaluate_multilabel`.
        unknown: its policy for NaN.
        units: `[N]`, `Split.unit_numbers`: what is drawn whole.
    """
    ranked, judged = judged_labels(labels, unknown)
    samples = resamples_for(*labels.shape)
    intervals, of_labels = bootstrap_intervals(
        ranked, judged, logits, decided, samples, groups=units
    )
    chance = chance_level(ranked, judged, decided)
    of_labels_by_chance = chance_average_precision(ranked)
    if results["conventions"]["average_precision"] != "step":
        # Resampling knows the step convention only; a wrong interval is worse than none.
        intervals["mAP"], chance["mAP"] = None, None
        of_labels = [None] * len(of_labels)
        of_labels_by_chance = np.full(len(of_labels), np.nan)

    def measured(names, group):
        return [
            Measured(name, results[group][name], intervals[name], chance[name]) for name in names
        ]

    return Headlines(
        measured(LABEL_BASED, "label_based"),
        measured(EXAMPLE_BASED, "example_based"),
        [
            Measured(
                row["name"],
                row["AP"],
                interval if row["positives"] >= LEAST_POSITIVES else None,
                None if np.isnan(level) else float(level),
            )
            for row, interval, level in zip(
                results["per_label"], of_labels, of_labels_by_chance, strict=True
            )
        ],
        samples,
    )
