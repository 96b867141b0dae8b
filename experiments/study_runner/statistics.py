"""Paired bootstrap over images and over seeds, from draws that fit into a small JSON file.

All runs on the same test images are resampled alike (one seed), so that the draws of two runs can
be subtracted: nothing but the draws has to be kept. Images of one person (video, patient) are drawn
together where the data tells; raw results of before have draws of single images alone.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, Chapters 8 and 13.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import scipy.special

from vac_tf.analysis.comparison.weighted_average_precision import LabelRanking
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts

SAMPLES = 500
_DIGITS = 5
_SEED = 0


def bootstrap_draws(
    labels: np.ndarray,
    logits: np.ndarray,
    threshold: float = 0.5,
    samples: int = SAMPLES,
    units: np.ndarray | None = None,
) -> dict[str, list[float]]:
    """mAP ("step") and mA of every resample of the images, or of whole units of them.

    In each resample both are means over the labels that have what they need there: a positive for
    mAP, a positive and a negative for mA.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (unknown, left out).
        logits: `[N, L]`.
        threshold: a label is predicted where its float32 probability is above it.
        samples: S.
        units: int `[N]` of 0, 1, ...: images that are drawn together; None: each alone.

    Returns:
        `mAP` and `mA`, S numbers each, rounded to 5 decimals.
    """
    labels = np.asarray(labels, np.float32)
    rankings = [
        LabelRanking(column, scores) for column, scores in zip(labels.T, logits.T, strict=True)
    ]
    predicted = scipy.special.expit(logits.astype(np.float32)) > np.float32(threshold)
    draws = {"mAP": [], "mA": []}
    for counts in resample_counts(len(labels), samples, _SEED, units):
        precisions = np.stack([ranking.average_precision(counts) for ranking in rankings])
        draws["mAP"].append(np.nanmean(precisions, axis=0))
        draws["mA"].append(np.nanmean(_balanced_accuracy(labels, predicted, counts), axis=0))
    return {
        name: np.concatenate(parts).round(_DIGITS).astype(float).tolist()
        for name, parts in draws.items()
    }


def unit_draws(
    labels: np.ndarray, logits: np.ndarray, threshold: float, units: np.ndarray
) -> dict[str, dict]:
    """What a raw result keeps of the bootstrap.

    Returns:
        `bootstrap`: the draws of whole units; `units`: their number and a digest, equal only where
        two results have the same ones; and, where a unit has several images, `bootstrap_of_images`,
        to be compared with results of before.
    """
    number = int(units.max()) + 1
    digest = hashlib.sha256(units.astype("<i8").tobytes()).hexdigest()
    drawn = {"units": {"number": number, "digest": digest}}
    of_images = bootstrap_draws(labels, logits, threshold)
    if number == len(units):
        return drawn | {"bootstrap": of_images}
    of_units = bootstrap_draws(labels, logits, threshold, units=units)
    return drawn | {"bootstrap": of_units, "bootstrap_of_images": of_images}


def draws_of(results: Sequence[dict], metric: str) -> tuple[str, list[list[float]]]:
    """Of what draws are, "units" or, where a result has no other, "images"; and those of each."""
    if all("units" in result for result in results):
        return "units", [result["bootstrap"][metric] for result in results]
    of_images = (result.get("bootstrap_of_images", result["bootstrap"]) for result in results)
    return "images", [draws[metric] for draws in of_images]


def _balanced_accuracy(labels, predicted, counts):
    """(true positive rate + true negative rate) / 2 of every label, `[L, S]`; NaN without both."""

    def rate(truth):
        right, all_of_it = (labels == truth) & (predicted == bool(truth)), labels == truth
        weights = [matrix.T.astype(np.float32) @ counts for matrix in (right, all_of_it)]
        with np.errstate(invalid="ignore"):
            return weights[0] / weights[1]

    return (rate(1) + rate(0)) / 2


def mean_with_interval(values: Sequence[float], draws: Sequence[Sequence[float]]) -> dict:
    """The mean over runs of different seeds, and its interval over images and seeds.

    A resample of the two-stage bootstrap draws the seeds with replacement and takes, for one
    resample of the images, the mean of their draws. One run alone: over images only. Few seeds say
    little of how much other seeds would differ, so the interval is rather too narrow.

    Args:
        values: of every seed's run, or the differences of two runs of the same seed.
        draws: of every seed `[S]`, likewise.

    Returns:
        `mean`, `low`, `high` (95 %), `deviation` (over seeds, n - 1; None of one), `seeds` (their
        number).
    """
    values, draws = np.asarray(values, float), np.asarray(draws, float)
    generator = np.random.default_rng(_SEED)
    chosen = generator.integers(len(values), size=draws.shape)
    low, high = percentile_interval(np.take_along_axis(draws, chosen, axis=0).mean(axis=0))
    return {
        "mean": float(values.mean()),
        "low": low,
        "high": high,
        "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
        "seeds": len(values),
    }


def paired_difference(results: Sequence[dict], baselines: Sequence[dict], metric: str) -> dict:
    """`mean_with_interval` of the differences to a baseline, over the seeds that both have.

    `drawn` says of what the draws are, "units" or "images" (`draws_of`).

    Args:
        results: raw results of one row.
        baselines: of the baseline.
        metric: `mAP` or `mA`.

    Raises:
        ValueError: no seed in common, or runs that were evaluated on other images.
    """
    by_seed = {result["seed"]: result for result in baselines}
    pairs = [(result, by_seed[result["seed"]]) for result in results if result["seed"] in by_seed]
    if not pairs:
        raise ValueError("No seed in common.")
    for pair in pairs:
        digests = {one["images_digest"] for one in pair}
        units = {one["units"]["digest"] for one in pair if "units" in one}
        if len(digests) > 1 or len(units) > 1:
            rows = " and ".join(f"{one['row']} (seed {one['seed']})" for one in pair)
            what = "images" if len(digests) > 1 else "groups of images"
            raise ValueError(f"{rows} were evaluated on other {what}: they cannot be compared.")
    values = [result[metric] - baseline[metric] for result, baseline in map(_metrics, pairs)]
    drawn, draws = draws_of([result for pair in pairs for result in pair], metric)
    differences = [
        np.subtract(result, baseline)
        for result, baseline in zip(draws[::2], draws[1::2], strict=True)
    ]
    return mean_with_interval(values, differences) | {"drawn": drawn}


def _metrics(pair):
    return [one["evaluation"]["label_based"] for one in pair]
