"""What the evaluated run gains over another, on the same resamples of the images."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.special

from vac_tf.analysis.comparison.average_precision_gain import compare_average_precision
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.metrics.bootstrap import percentile_interval
from vac_tf.metrics.label_groups.decisions import decide
from vac_tf.metrics.multilabel import decision_metrics
from vac_tf.report.comparison.runs import ComparedRun
from vac_tf.report.headlines import judged_labels
from vac_tf.report.intervals import Interval, bootstrap_draws, resamples_for

_METRICS = ("mA", "F1-C", "CF1", "F1-O", "Acc", "F1")
_SHOWN = 60  # Labels: of more those that gain and those that lose most.


@dataclasses.dataclass(frozen=True)
class Difference:
    """A metric of the evaluated run and of another: values and the interval of their difference."""

    name: str
    own: float | None
    other: float | None
    difference: float | None
    interval: Interval

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclasses.dataclass(frozen=True)
class Gains:
    """Against one run: metrics; labels by falling gain of AP; how many labels are not shown."""

    name: str
    metrics: Sequence[Difference]
    labels: Sequence[Difference]
    not_shown: int

    @property
    def largest(self) -> float:
        """The longest bar: the largest gain or loss of a label, or end of its interval."""
        ends = [
            abs(end) for each in self.labels for end in (each.difference, *(each.interval or ()))
        ]
        return max(ends, default=0.0) or 1.0


def measure_gains(evaluated: EvaluatedRun, other: ComparedRun) -> Gains:
    """Differences with paired percentile intervals of 95 %: both runs on the same resamples.

    A label with fewer than five positives has no interval. AP is "step".
    """
    ranked, judged = judged_labels(evaluated.labels, evaluated.unknown_labels)
    samples = resamples_for(*evaluated.labels.shape)
    split = evaluated.source.split
    names, units = split.label_names, split.unit_numbers
    precision = compare_average_precision(
        ranked, other.logits, evaluated.logits, names, samples, units=units
    )
    whole = precision["mAP"]
    metrics = [
        Difference("mAP", whole["model"], whole["baseline"], whole["difference"], whole["interval"])
    ]
    decided = [evaluated.decided, _decided(other, evaluated.config.threshold)]
    values = [decision_metrics(judged, each) for each in decided]
    draws = [bootstrap_draws(judged, each, samples, groups=units) for each in decided]
    for name in _METRICS:
        own, others = (each[name] for each in values)
        interval = percentile_interval(draws[0][name] - draws[1][name])
        difference = None if own is None else own - others
        metrics.append(Difference(name, own, others, difference, interval))
    labels = [
        Difference(
            row["name"],
            row["average_precision"],
            row["baseline_average_precision"],
            row["difference"],
            row["interval"],
        )
        for row in precision["labels"]
    ]
    shown = labels if len(labels) <= _SHOWN else labels[: _SHOWN // 2] + labels[-_SHOWN // 2 :]
    return Gains(other.name, metrics, shown, len(labels) - len(shown))


def _decided(run: ComparedRun, threshold: float) -> np.ndarray:
    probabilities = scipy.special.expit(run.logits.astype(np.float32))
    return decide(probabilities, threshold, run.label_groups)
