"""Checks the label and score arrays of an evaluation, and says what they hold. NumPy only."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def check_arrays(
    labels: ArrayLike, scores: ArrayLike, label_names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Checks one evaluation's arrays and gives them their types.

    Args:
        labels: [N, L], values 0, 1 or NaN (unknown).
        scores: [N, L], probabilities in 0..1.
        label_names: L different names, or None for "0", "1", ...

    Returns:
        labels float32 [N, L]; scores [N, L] as they came, at least float32; names, a tuple of L
        strings.

    Raises:
        ValueError: what is wrong, with row and label of the first bad value.
    """
    labels = np.asarray(labels, dtype=np.float32)
    scores = np.asarray(scores)
    scores = scores.astype(np.result_type(scores, np.float32), copy=False)
    if labels.ndim != 2 or labels.shape != scores.shape or 0 in labels.shape:
        raise ValueError(
            f"Got labels of shape {labels.shape} and scores of shape {scores.shape}. Expected"
            " both of the same shape [N, L] with at least one image and one label."
        )
    names = _check_names(label_names, labels.shape[1])
    is_label = (labels == 0) | (labels == 1) | np.isnan(labels)
    _check_all(is_label, labels, "label", names, "0, 1 or NaN (unknown)")
    in_range = (scores >= 0) & (scores <= 1)
    _check_all(
        in_range, scores, "score", names, "a probability in 0..1: apply a sigmoid to logits first"
    )
    return labels, scores, names


def check_ranking(ranking: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """The numbers `[N, L]` to rank by, at least float32.

    Raises:
        ValueError: for another shape than that of the scores, or a NaN, with row and column.
    """
    ranking = np.asarray(ranking)
    ranking = ranking.astype(np.result_type(ranking, np.float32), copy=False)
    if ranking.shape != shape:
        raise ValueError(
            f"Got a ranking of shape {ranking.shape} for scores of shape {shape}. Expected one"
            " number for each score, such as its logit."
        )
    if np.isnan(ranking).any():
        row, column = np.argwhere(np.isnan(ranking))[0]
        raise ValueError(
            f"The ranking at row {row}, column {column} is NaN. Expected a number: look for a"
            " non-finite weight or input of the network."
        )
    return ranking


def count_dataset(
    names: Sequence[str],
    predicted: np.ndarray,
    positive: np.ndarray,
    known: np.ndarray,
    is_unknown: np.ndarray,
) -> dict[str, Any]:
    """What an evaluation reports of its data.

    Args:
        names: L labels.
        predicted: bool [N, L], of known labels only.
        positive: bool [N, L].
        known: bool [N, L], the labels that count.
        is_unknown: bool [N, L], the labels that are unknown in the data.

    Returns:
        A dict that `json.dump` takes.
    """
    positives, negatives = positive.sum(axis=0), (known & ~positive).sum(axis=0)
    without_positives = [names[index] for index in np.flatnonzero(positives == 0).tolist()]
    without_negatives = [names[index] for index in np.flatnonzero(negatives == 0).tolist()]
    return {
        "images": len(positive),
        "labels": len(names),
        "positives": int(positives.sum()),
        "unknown": int(is_unknown.sum()),
        "num_labels_without_positives": len(without_positives),
        "labels_without_positives": without_positives,
        "labels_without_negatives": without_negatives,
        "images_without_known_labels": int(np.sum(~known.any(axis=1))),
        "images_with_neither_predictions_nor_positives": int(
            np.sum(known.any(axis=1) & ~(predicted | positive).any(axis=1))
        ),
    }


def _check_names(label_names: Sequence[str] | None, num_labels: int) -> tuple[str, ...]:
    if label_names is None:
        return tuple(str(index) for index in range(num_labels))
    names = tuple(str(name) for name in label_names)
    if len(names) != num_labels:
        raise ValueError(
            f"Got {len(names)} label names for arrays of {num_labels} labels. Expected one name"
            " per column, in the order of the columns."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Label names occur twice: {', '.join(repeated)}. Expected them to differ."
        )
    return names


def _check_all(
    is_good: np.ndarray, values: np.ndarray, kind: str, names: Sequence[str], expected: str
) -> None:
    if is_good.all():
        return
    row, column = np.argwhere(~is_good)[0]
    raise ValueError(
        f"The {kind} of row {row}, label {names[column]!r} (column {column}) is"
        f" {values[row, column]}. Expected {expected}. {np.sum(~is_good)} values are wrong in all."
    )


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator in float64, and 0 where the denominator is 0."""
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), 0.0)


def harmonic_mean(precision: float | None, recall: float | None) -> float | None:
    """F1 of both; None where one is undefined."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def mean(values: np.ndarray) -> float | None:
    """The mean as a Python number; None without values."""
    return float(np.mean(values)) if len(values) else None


def plain(value: float) -> float | None:
    """A Python number; None for NaN."""
    return None if math.isnan(value) else float(value)
