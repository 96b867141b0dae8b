"""Metrics of labels that exclude each other: which one is chosen, and contradictory decisions."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vac_tf.configs.label_groups.group import NONE, UNKNOWN, LabelGroup
from vac_tf.metrics.label_groups.decisions import decide

_NONE_NAME = "none"


def measure_groups(
    labels: np.ndarray,
    probabilities: np.ndarray,
    decided: np.ndarray,
    threshold: np.ndarray | float,
    groups: Sequence[LabelGroup],
    label_names: Sequence[str],
) -> dict[str, Any]:
    """How often the right label of each group is chosen.

    The choice is the most probable label of the group, in one of at most one label "none" where
    that is not above the threshold, whatever made `decided`. Images whose group is unknown or
    contradictory are left out, and counted.

    Args:
        labels: `[N, L]` in 0..1, NaN where unknown; from 0.5 on a positive.
        probabilities: `[N, L]`.
        decided: bool `[N, L]`, the decisions that contradictions are counted in.
        threshold: one number, or float32 `[L]`.
        groups: of the labels.
        label_names: L names.

    Returns:
        Plain values: `top1` and `mean_recall`, the means over groups; `contradictory_decisions`,
        the share of images with at least one contradiction among `decided` (several labels of a
        group, or none where exactly one holds); `groups`, for each `name`, `rule`, `top1`,
        `mean_recall` (over the answers that occur), `recall` (answer -> share, None where it does
        not occur), `images`, `left_out` (`unknown`, `contradictory`) and
        `contradictory_decisions`. None where nothing can be said.
    """
    chosen = decide(probabilities, threshold, groups)
    rows = [_measure(group, labels, chosen, decided, label_names) for group in groups]
    contradictory = np.zeros(len(labels), bool)
    for group in groups:
        contradictory |= group.contradictory(decided)
    return {
        "top1": _mean([row["top1"] for row in rows]),
        "mean_recall": _mean([row["mean_recall"] for row in rows]),
        "contradictory_decisions": float(contradictory.mean()),
        "groups": rows,
    }


def _measure(
    group: LabelGroup,
    labels: np.ndarray,
    chosen: np.ndarray,
    decided: np.ndarray,
    label_names: Sequence[str],
) -> dict[str, Any]:
    answers = group.answers(labels)
    contradictory = group.contradictory(labels)
    usable = ~contradictory & (answers != UNKNOWN)
    right = group.answers(chosen) == answers
    names = {place: label_names[column] for place, column in enumerate(group.columns)}
    if group.at_most_one:
        names[NONE] = _NONE_NAME if _NONE_NAME not in names.values() else f"({_NONE_NAME})"
    recall = {name: _mean(right[usable & (answers == answer)]) for answer, name in names.items()}
    return {
        "name": group.name,
        "rule": group.rule,
        "top1": _mean(right[usable]),
        "mean_recall": _mean([value for value in recall.values() if value is not None]),
        "recall": recall,
        "images": int(usable.sum()),
        "left_out": {
            "unknown": int((answers == UNKNOWN).sum()),
            "contradictory": int(contradictory.sum()),
        },
        "contradictory_decisions": float(group.contradictory(decided).mean()),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) else None
