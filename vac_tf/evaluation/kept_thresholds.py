"""Which labels of a run keep the fixed threshold when it is tuned, and how that is told."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.special

from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.objectives import parse_objective
from vac_tf.decisions.tuning import TunedRule
from vac_tf.decisions.verdict import Verdict, too_many_alarms

_LOGGER = logging.getLogger(__name__)


def keep_unsure_labels(
    rule: TunedRule,
    verdict: Verdict,
    effects: Sequence[dict],
    names: Sequence[str],
    labels: np.ndarray,
    logits: np.ndarray,
    config: EvaluationConfig,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Puts the fixed threshold where the tuned one is refused, and warns of it.

    Args:
        rule: Tuned on all images.
        verdict: Of the cross-fitting.
        effects: For each label its `positives`, and its rates `fixed` and `tuned`.
        names: L names.
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        logits: float32 `[N, L]`.
        config: Its `force_thresholds` tunes every label whatever the verdict.

    Returns:
        The thresholds, float32 `[L]`; the labels that keep the fixed one, bool `[L]`; and
        `verdict` and `labels` of `thresholds.json`, plain values.
    """
    values, kept = rule.thresholds.values, np.zeros(len(names), bool)
    verdict = verdict.with_reasons(_alarms_of(rule, labels, logits, config))
    if not config.force_thresholds:
        kept = verdict.kept
        values = np.where(kept, _same_decisions(config.threshold, rule.calibration), values)
    _warn_of_kept(names, verdict, config)
    return values, kept, _describe_verdict(names, verdict, effects, values, config)


def _alarms_of(rule, labels, logits, config):
    """What is wrong with the alarms of the rule to be written, on the images it is tuned on."""
    calibration, objective = rule.calibration, parse_objective(config.threshold_objective)
    plain = Calibration.identity(logits.shape[1], calibration.label_groups)
    fixed = plain.decide(plain.probabilities(logits), config.threshold)
    tuned = calibration.decide(calibration.probabilities(logits), rule.thresholds.values)
    return too_many_alarms(labels, fixed, tuned, objective)


def _same_decisions(threshold: float, calibration: Calibration) -> np.ndarray:
    """Thresholds of calibrated probabilities that decide as one does on the network's own, `[L]`.

    Without calibration the very threshold; so too in label groups, whose probabilities depend on
    each other.
    """
    values = np.full(len(calibration.scales), threshold, np.float32)
    if calibration.method == "none":
        return values
    alone = dataclasses.replace(calibration, label_groups=())
    moved = alone.probabilities(scipy.special.logit(np.full((1, 1), threshold)))[0]
    for group in calibration.label_groups:
        moved[list(group.columns)] = threshold
    return moved


def _warn_of_kept(names, verdict: Verdict, config) -> None:
    fate = "is tuned all the same (--force_thresholds)" if config.force_thresholds else "is kept"
    if verdict.refused:
        _LOGGER.warning(
            "Tuning is refused: %s. The threshold %g %s.", verdict.refused, config.threshold, fate
        )
        return
    reasons = [
        f"{name} ({reason})"
        for name, reason in zip(names, verdict.reasons, strict=True)
        if reason is not None
    ]
    if reasons:
        _LOGGER.warning(
            "For %d of %d labels the threshold %g %s: %s.",
            len(reasons),
            len(names),
            config.threshold,
            fate,
            "; ".join(reasons),
        )


def _describe_verdict(names, verdict: Verdict, effects, values, config) -> dict[str, Any]:
    """`verdict` and `labels` of `thresholds.json`: plain values."""
    kept = [name for name, is_kept in zip(names, verdict.kept, strict=True) if is_kept]
    rows = zip(names, verdict.reasons, verdict.gains, effects, values, strict=True)
    return {
        "verdict": {
            "accepted": verdict.refused is None,
            "refused_because": verdict.refused,
            "gains": {name: gain.to_json() for name, gain in verdict.overall.items()},
            "labels_kept": kept,
            "forced": config.force_thresholds,
        },
        "labels": {
            name: {
                "threshold": float(value),
                "is_tuned": config.force_thresholds or name not in kept,
                "kept_because": reason or (verdict.refused if name in kept else None),
                "gain": gain.to_json() if gain else None,
                **effect,
            }
            for name, reason, gain, effect, value in rows
        },
    }
