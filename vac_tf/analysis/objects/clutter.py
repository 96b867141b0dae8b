"""Mean average precision by the number of objects in the image (Luo et al., 2019, Section 5.3)."""

from collections.abc import Mapping

import numpy as np

from vac_tf.analysis.objects.object_count_bins import bin_name, clutter_bins
from vac_tf.metrics.average_precision import average_precision_per_label

SMOOTHING = np.full(3, 1 / 3)


def map_by_object_count(
    labels: np.ndarray, scores_by_model: Mapping[str, np.ndarray], object_counts: np.ndarray
) -> dict:
    """mAP of the images with each number of objects, for each model.

    A label without positives in a group leaves the group's mean, as in `vac_tf.metrics`. A group
    is defined where some label has a positive; images without any object, say, form no curve.

    Few images make a high mAP: in a group of one image every label with a positive has an average
    precision of 1. `chance` shows how much of a value is owed to that.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (unknown).
        scores_by_model: name -> `[N, L]`, higher means more likely.
        object_counts: integers `[N]` from 0, such as `count_objects` gives.

    Returns:
        A dict that `json.dump` takes:

        * `histogram`: `object_counts`, every number from 0 to the largest, and `images`, how many
          images have it;
        * `groups`: for each number of objects with a defined mAP, rising: `object_count`, `images`,
          `labels` (those with positives), `chance` (mean over these labels of the expected average
          precision of a random ranking);
        * `models`: name -> `mAP` and `smoothed`, one value per group: smoothed by
          [1/3, 1/3, 1/3] over neighbouring groups, the ends padded with their own value. Numbers of
          objects without a defined mAP are skipped: the neighbours of a group are the nearest
          defined ones, not gaps;
        * `undefined`: the numbers of objects whose images have no positive label.

    Raises:
        ValueError: shapes that do not fit, no model, or counts that are not integers from 0.
    """
    labels, object_counts = np.asarray(labels, np.float32), np.asarray(object_counts)
    _check(labels, scores_by_model, object_counts)
    groups, undefined = [], []
    values = {name: [] for name in scores_by_model}
    for count in np.unique(object_counts):
        in_group = object_counts == count
        positives = np.sum(labels[in_group] == 1, axis=0)
        if not positives.any():
            undefined.append(int(count))
            continue
        groups.append({"object_count": int(count), "images": int(in_group.sum())})
        groups[-1] |= {"labels": int(np.sum(positives > 0)), "chance": _chance(labels[in_group])}
        for name, scores in scores_by_model.items():
            precisions = average_precision_per_label(labels[in_group], scores[in_group])
            values[name].append(float(np.nanmean(precisions)))
    histogram = np.bincount(object_counts)
    return {
        "histogram": {
            "object_counts": list(range(len(histogram))),
            "images": histogram.tolist(),
        },
        "groups": groups,
        "models": {
            name: {"mAP": found, "smoothed": smoothed(found)} for name, found in values.items()
        },
        "undefined": undefined,
    }


def map_by_object_bins(
    labels: np.ndarray, scores_by_model: dict[str, np.ndarray], object_counts: np.ndarray
) -> list[dict]:
    """mAP in the bins of `object_count_bins`, the images of a bin ranked together.

    Arguments and errors as of `map_by_object_count`; images without objects are left out.

    Returns:
        Of every bin with a positive label `objects` (its name), `images`, `labels`, `chance`, and
        `mAP`: name of a model -> value.
    """
    bins, object_counts = clutter_bins(), np.asarray(object_counts)
    has_objects = object_counts > 0
    if not has_objects.any():
        return []
    numbers = np.searchsorted([high for _, high in bins], object_counts[has_objects])
    scores = {name: values[has_objects] for name, values in scores_by_model.items()}
    found = map_by_object_count(np.asarray(labels)[has_objects], scores, numbers)
    rows = []
    for index, group in enumerate(found["groups"]):
        row = {"objects": bin_name(*bins[group["object_count"]])}
        row |= {name: group[name] for name in ("images", "labels", "chance")}
        values = {name: model["mAP"][index] for name, model in found["models"].items()}
        rows.append(row | {"mAP": values})
    return rows


def smoothed(values: list[float]) -> list[float]:
    """Means of three neighbours, `[n]` from `[n]`, the ends padded with their own value."""
    if not values:
        return []
    return np.convolve(np.pad(values, 1, mode="edge"), SMOOTHING, mode="valid").tolist()


def random_average_precision(num_images: int, num_positives: int) -> float:
    """Expected average precision of a random ranking without ties.

    An image at rank k is positive with probability R / n, and then expects (R - 1) / (n - 1)
    of those above it to be positive too: AP = (H + (n - H) (R - 1) / (n - 1)) / n with the
    harmonic number H of n. It is near the share of positives R / n for many images and 1 for one.
    """
    if num_images == 1:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, num_images + 1)))
    above = (num_positives - 1) / (num_images - 1)
    return (harmonic + (num_images - harmonic) * above) / num_images


def _chance(labels: np.ndarray) -> float:
    positives, known = np.sum(labels == 1, axis=0), np.sum(~np.isnan(labels), axis=0)
    return float(
        np.mean(
            [
                random_average_precision(int(images), int(count))
                for images, count in zip(known, positives, strict=True)
                if count
            ]
        )
    )


def _check(labels, scores_by_model, object_counts):
    if not scores_by_model:
        raise ValueError("Expected the scores of at least one model, got none.")
    for name, scores in scores_by_model.items():
        if labels.ndim != 2 or np.shape(scores) != labels.shape:
            raise ValueError(
                f"Got labels of shape {labels.shape} and scores of shape {np.shape(scores)} of"
                f" model {name!r}. Expected both of the same shape [N, L]."
            )
    is_integer = np.issubdtype(object_counts.dtype, np.integer)
    if not is_integer or object_counts.shape != labels.shape[:1] or np.min(object_counts) < 0:
        raise ValueError(
            f"Expected the number of objects of {len(labels)} images, integers from 0, got"
            f" {object_counts.dtype} of shape {object_counts.shape}."
        )
