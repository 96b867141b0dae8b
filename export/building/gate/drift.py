"""How far the outputs of an exported precision are from those of the Keras network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export.building.gate.budget import Budget
from export.bundle.label_groups import LabelGroup, decide
from vac_tf.inputs.settings import known_labels
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.metrics.multilabel import decision_metrics, evaluate_multilabel

Outputs = Mapping[str, np.ndarray]


def measure_drift(
    expected: Outputs,
    actual: Outputs,
    labels: np.ndarray,
    label_names: Sequence[str],
    thresholds: np.ndarray,
    unknown_labels: str,
    ties: float = 0.0,
    label_groups: Sequence[LabelGroup] = (),
) -> dict[str, Any]:
    """Compares two networks' outputs for the same N images.

    Args:
        expected: Of the Keras network, by name: `probabilities` and `logits` `[N, L]`, of which
            the logits rank; and heatmaps `[N, h, w, L]`.
        actual: Of the exported file, the same names and shapes.
        labels: `[N, L]`, values 0, 1 or NaN (unknown).
        label_names: L names.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        unknown_labels: What a NaN label means for the metrics.
        ties: Expected probabilities that are closer than this may come in any order.
        label_groups: Labels of which the most probable is decided.

    Returns:
        Plain values: `images`; `probabilities` (`largest`, `mean`, `label` of the largest);
        `decisions` (`changed`, a share; `positive_changed`, that of the expected labels, None where
        there is none; and `per_label`); `metrics` (`mAP`, `mA`, `F1-C`, `F1-O`,
        each `keras`, `exported`, `change` and `loss`, None where undefined; the loss of mAP counts
        from the worst order of ties, and `label` is the one that loses most); `heatmaps` (per
        output the `mean` over labels and the `lowest` correlation, with its `label`). Only
        `not_finite`, the number of such values per output, when there are any.
    """
    not_finite = {name: int((~np.isfinite(values)).sum()) for name, values in actual.items()}
    if any(not_finite.values()):
        return {"images": len(labels), "not_finite": not_finite}
    before, after = expected["probabilities"], actual["probabilities"]
    difference = np.abs(before - after)
    decided = decide(before, thresholds, label_groups)
    decided_after = decide(after, thresholds, label_groups)
    differs = decided != decided_after
    changed = differs.mean(axis=0)
    return {
        "images": len(labels),
        "probabilities": {
            "largest": float(difference.max()),
            "mean": float(difference.mean()),
            "label": label_names[int(difference.max(axis=0).argmax())],
        },
        "decisions": {
            "changed": float(changed.mean()),
            "positive_changed": float(differs[decided].mean()) if decided.any() else None,
            "per_label": dict(zip(label_names, changed.tolist(), strict=True)),
        },
        "metrics": _compare_metrics(
            expected,
            actual,
            labels,
            label_names,
            (decided, decided_after),
            unknown_labels,
            ties,
            label_groups,
        ),
        "heatmaps": {
            name: _correlate(expected[name], actual[name], label_names)
            for name in expected
            if expected[name].ndim == 4
        },
    }


def over_budget(figures: Mapping[str, Any], budget: Budget) -> list[str]:
    """What of `measure_drift` is over the budget, one sentence each; empty when nothing is."""
    if "not_finite" in figures:
        return [
            f"{count} values of {name} are not finite"
            for name, count in figures["not_finite"].items()
            if count
        ]
    sentences = [
        f"{what} is {value:.2g}, allowed {limit:.2g}"
        for what, value, limit in _measured(figures, budget)
        if value > limit
    ]
    for name, correlation in figures["heatmaps"].items():
        if correlation["lowest"] is not None and correlation["lowest"] < budget.heatmaps:
            sentences.append(
                f"correlation of {name} of label {correlation['label']!r} is"
                f" {correlation['lowest']:.4f}, needed {budget.heatmaps:g}"
            )
    return sentences


def _measured(figures, budget):
    """What each limit but the heatmaps' is on, its value and the limit."""
    per_label = figures["decisions"]["per_label"]
    worst = max(per_label, key=per_label.get)
    one_image, one_decision = 1 / figures["images"], 1 / (figures["images"] * len(per_label))
    label, largest, mean = (figures["probabilities"][key] for key in ("label", "largest", "mean"))
    yield f"largest difference of a probability (label {label!r})", largest, budget.probability
    what = f"mean difference of probabilities (largest: label {label!r})"
    yield what, mean, budget.mean_probability
    yield (
        f"share of changed decisions (most of them: label {worst!r})",
        figures["decisions"]["changed"],
        max(budget.decisions, one_decision),
    )
    yield (
        f"share of changed decisions of label {worst!r}",
        per_label[worst],
        max(budget.label_decisions, one_image),
    )
    loses = figures["metrics"]["mAP"]["label"]
    for name, limit, label in (
        ("mAP", budget.mAP, f"label {loses!r} loses most"),
        ("mA", budget.mA, f"most decisions change of label {worst!r}"),
        ("F1-O", budget.F1, f"most decisions change of label {worst!r}"),
    ):
        loss = figures["metrics"][name]["loss"] or 0.0
        yield f"loss of {name} ({label})", loss, max(limit, one_image)


def _compare_metrics(before, after, labels, label_names, decided, unknown_labels, ties, groups):
    known = known_labels(labels, unknown_labels)
    odds = [log_odds(outputs["logits"], groups) for outputs in (before, after)]
    rankings = *odds, _worst_order(before, odds[0], labels, ties)
    before, after = before["probabilities"], after["probabilities"]
    ranked = [
        evaluate_multilabel(labels, values, label_names, unknown=unknown_labels, ranking=ranking)
        for values, ranking in zip((before, after, before), rankings, strict=True)
    ]
    keras, exported, expected = (
        {"mAP": evaluation["label_based"]["mAP"], **decision_metrics(known, made)}
        for evaluation, made in zip(ranked, (*decided, decided[0]), strict=True)
    )
    metrics = {
        name: {
            "keras": keras[name],
            "exported": exported[name],
            "change": _difference(exported[name], keras[name]),
            "loss": _difference(expected[name], exported[name]),
        }
        for name in ("mAP", "mA", "F1-C", "F1-O")
    }
    metrics["mAP"]["label"] = _label_that_loses_most(ranked[2], ranked[1])
    return metrics


def _label_that_loses_most(expected, actual):
    """Name of the label whose average precision falls most; None when that of none does."""
    pairs = zip(expected["per_label"], actual["per_label"], strict=True)
    losses = {first["name"]: first["AP"] - second["AP"] for first, second in pairs if first["AP"]}
    label = max(losses, key=losses.get, default=None)
    return label if label is not None and losses[label] > 0 else None


def _worst_order(outputs, odds, labels, ties):
    """Ranks with every positive behind the negatives that it ties with, the rest by logits."""
    if not ties:
        return odds
    return outputs["probabilities"] + np.where(labels == 1, -0.5, 0.5) * ties


def _difference(first, second):
    return None if first is None or second is None else first - second


def _correlate(expected, actual, label_names):
    """Pearson correlation of each label's maps; a label whose map is constant has none."""
    correlations = {}
    for index, name in enumerate(label_names):
        maps = [values[..., index].ravel().astype(np.float64) for values in (expected, actual)]
        first, second = (values - values.mean() for values in maps)
        scale = np.sqrt((first**2).sum() * (second**2).sum())
        if (first**2).sum() > 0:
            correlations[name] = float((first * second).sum() / scale) if scale else 0.0
    if not correlations:
        return {"mean": None, "lowest": None, "label": None}
    label = min(correlations, key=correlations.get)
    mean = float(np.mean(list(correlations.values())))
    return {"mean": mean, "lowest": correlations[label], "label": label}
