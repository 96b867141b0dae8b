"""Tunes calibration and thresholds on scored images, and measures honestly what that gains.

Thresholds measured on the images that they were tuned on flatter. So the gain is cross-fitted:
each fold of the images is decided by a rule that was tuned on the other folds, and the decisions
of all folds are measured together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.calibration import (
    BINNING,
    Calibration,
    calibration_errors,
    fit_calibration,
)
from vac_tf.decisions.objectives import Objective
from vac_tf.decisions.stratified_folds import stratified_folds
from vac_tf.decisions.thresholds import Thresholds, tune_thresholds
from vac_tf.decisions.verdict import cross_fitted_verdict, decision_rates
from vac_tf.metrics.label_groups.decisions import decide, log_odds
from vac_tf.metrics.multilabel import decision_metrics


@dataclasses.dataclass(frozen=True)
class TuningSettings:
    """How a rule is tuned.

    Attributes:
        objective: What thresholds are tuned for; None leaves them at `fixed_threshold`.
        calibration: `none`, `temperature` or `platt`.
        shrinkage: Positives with which a label lies half-way between own and global values.
        fixed_threshold: The threshold to compare with.
        folds: Of the cross-fitting.
        seed: Of the folds.
        label_groups: Labels that exclude each other: the most probable one is decided, and tuned
            thresholds say at most where none is.
    """

    objective: Objective | None
    calibration: str
    shrinkage: float
    fixed_threshold: float
    folds: int
    seed: int = 0
    label_groups: tuple[LabelGroup, ...] = ()


@dataclasses.dataclass(frozen=True)
class TunedRule:
    """Calibration, and the thresholds of calibrated probabilities."""

    calibration: Calibration
    thresholds: Thresholds


def tune(labels: np.ndarray, logits: np.ndarray, settings: TuningSettings) -> TunedRule:
    """Fits the calibration, then tunes the thresholds of the calibrated probabilities.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        logits: float32 `[N, L]`.
        settings: See there.

    Raises:
        ValueError: when no label has a positive.
    """
    calibration = fit_calibration(
        labels, logits, settings.calibration, settings.shrinkage, settings.label_groups
    )
    if settings.objective:
        probabilities = calibration.probabilities(logits)
        thresholds = tune_thresholds(labels, probabilities, settings.objective, settings.shrinkage)
        return TunedRule(calibration, thresholds)
    fixed, nowhere = np.float32(settings.fixed_threshold), np.zeros(labels.shape[1], bool)
    values = np.full(labels.shape[1], fixed)
    return TunedRule(calibration, Thresholds(values, fixed, nowhere, nowhere))


def measure_by_cross_fitting(
    labels: np.ndarray,
    logits: np.ndarray,
    units: Sequence[str],
    settings: TuningSettings,
) -> dict[str, Any]:
    """What tuning gains on images that it has not seen.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        logits: float32 `[N, L]`.
        units: names of the N examples' units (`Split.units`), which are never divided.
        settings: How to tune.

    Returns:
        As `measure_rule`, with two rows more in `comparison`: `global` (one tuned threshold for
        all labels) and `judged` (labels that the verdict on the other folds keeps are decided by
        the fixed threshold); `folds`; and, with an objective, `verdict`: the
        `vac_tf.threshold_verdict.Verdict`, and `labels`: for each label its `positives` and its
        rates of decision, `fixed` and `tuned`, as `decision_rates`.

    Raises:
        ValueError: for fewer units than folds, or folds without any positive.
    """
    folds = stratified_folds(labels, units, settings.folds, settings.seed)
    probabilities = np.empty(logits.shape, np.float32)
    thresholds, shared = np.empty_like(probabilities), np.empty_like(probabilities)
    for fold in range(settings.folds):
        held_out = folds == fold
        rule = tune(labels[~held_out], logits[~held_out], settings)
        probabilities[held_out] = rule.calibration.probabilities(logits[held_out])
        thresholds[held_out] = rule.thresholds.values
        shared[held_out] = rule.thresholds.global_value
    groups = settings.label_groups
    decided = {"tuned": decide(probabilities, thresholds, groups)}
    told = {}
    if settings.objective:
        told, judged = _judge(labels, logits, decided["tuned"], folds, units, settings)
        shared = decide(probabilities, shared, groups)
        decided = {"global": shared, **decided, "judged": judged}
    return {
        "folds": settings.folds,
        **told,
        **measure_decisions(
            labels, logits, decided, settings.objective, settings.fixed_threshold, groups
        ),
        **_calibration_gain(labels, logits, probabilities, settings.calibration, groups),
    }


def _judge(labels, logits, tuned, folds, units, settings) -> tuple[dict, np.ndarray]:
    """`verdict` and `labels` of `measure_by_cross_fitting`, and the decisions of its `judged`."""
    groups = settings.label_groups
    fixed = decide(_plain(logits, groups), settings.fixed_threshold, groups)
    numbers = np.unique(np.asarray(units), return_inverse=True)[1]
    verdict, judged = cross_fitted_verdict(
        labels, fixed, tuned, folds, numbers, settings.objective, settings.seed
    )
    columns = (
        (labels == 1).sum(axis=0),
        decision_rates(labels, fixed),
        decision_rates(labels, tuned),
    )
    effects = [
        {"positives": int(positives), "fixed": before, "tuned": after}
        for positives, before, after in zip(*columns, strict=True)
    ]
    return {"verdict": verdict, "labels": effects}, judged


def measure_rule(
    labels: np.ndarray,
    logits: np.ndarray,
    calibration: Calibration,
    thresholds: np.ndarray,
    objective: Objective | None,
    fixed_threshold: float,
) -> dict[str, Any]:
    """What a rule gains on images that it was not tuned on.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        logits: float32 `[N, L]`.
        calibration: Of the rule.
        thresholds: float32 `[L]` of the rule.
        objective: What the rule was tuned for; None when its thresholds were not tuned.
        fixed_threshold: The threshold to compare with.

    Returns:
        `comparison`, as `measure_decisions`; and where the rule calibrates, `calibration`: the
        errors of `vac_tf.decisions.calibration.calibration_errors`, `before` and `after`.
    """
    probabilities, groups = calibration.probabilities(logits), calibration.label_groups
    decided = {"tuned": calibration.decide(probabilities, thresholds)}
    return {
        **measure_decisions(labels, logits, decided, objective, fixed_threshold, groups),
        **_calibration_gain(labels, logits, probabilities, calibration.method, groups),
    }


def measure_decisions(
    labels: np.ndarray,
    logits: np.ndarray,
    decided: Mapping[str, np.ndarray],
    objective: Objective | None,
    fixed_threshold: float,
    label_groups: tuple[LabelGroup, ...] = (),
) -> dict[str, Any]:
    """Decisions between those of one fixed threshold and the best that thresholds can reach.

    Returns:
        `comparison`: the metrics of `vac_tf.metrics.decision_metrics`, and of the objective, for
        `fixed` (the fixed threshold on probabilities as the network gives them), those of
        `decided`, and `oracle` (tuned on the very images that it is measured on, not shrunk; not
        there without positives).
    """
    fixed = decide(_plain(logits, label_groups), fixed_threshold, label_groups)
    rows = {"fixed": fixed, **decided}
    if objective and (labels == 1).any():
        rows["oracle"] = _best_decisions(labels, log_odds(logits, label_groups), objective)
    comparison = {name: decision_metrics(labels, row) for name, row in rows.items()}
    if objective:
        for name, row in rows.items():
            comparison[name] |= objective.measure(labels, row)
    return {"comparison": comparison}


def _plain(logits: np.ndarray, label_groups) -> np.ndarray:
    """The network's own float32 probabilities."""
    return Calibration.identity(logits.shape[1], label_groups).probabilities(logits)


def _best_decisions(labels, logits, objective):
    """Decisions by the best cut through each label's logits; none of a label without positives.

    Found among ranks: probabilities of large logits are equal in float32, the logits are not.
    """
    ranks = np.stack(
        [np.unique(column, return_inverse=True)[1] for column in logits.T], axis=1
    ).astype(np.float32)
    ranks = (ranks + 1) / (len(logits) + 1)
    tuned = tune_thresholds(labels, ranks, objective, shrinkage=0.0)
    return (ranks > tuned.values) & ~tuned.without_positives


def _calibration_gain(labels, logits, probabilities, method: str, groups) -> dict[str, Any]:
    if method == "none":
        return {}
    return {
        "calibration": {
            "method": method,
            "binning": BINNING,
            "before": calibration_errors(labels, _plain(logits, groups)),
            "after": calibration_errors(labels, probabilities),
        }
    }
