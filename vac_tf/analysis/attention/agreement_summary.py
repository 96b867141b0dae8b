"""Means of the agreement of heatmaps with attention, by outcome, clutter and label.

The pairs of one image share its fixations, so every interval is a percentile bootstrap over images
(95 %): images are drawn with replacement, with all their pairs. A difference whose interval holds 0
is no finding.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vac_tf.analysis.attention.agreement import OUTCOMES, AgreementTable
from vac_tf.analysis.objects.object_count_bins import bin_name, clutter_bins
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts


@dataclasses.dataclass(frozen=True)
class ImageBootstrap:
    """How often each image is drawn in each sample: [samples, images], the same for every mean."""

    weights: np.ndarray
    images: np.ndarray

    @classmethod
    def draw(cls, images: np.ndarray, samples: int, seed: int) -> "ImageBootstrap":
        """Draws from the distinct values of `images` [P]."""
        distinct = np.unique(images)
        chunks = resample_counts(len(distinct), samples, seed)
        return cls(np.concatenate([counts.T.astype(np.uint16) for counts in chunks]), distinct)

    def means(self, values: np.ndarray, images: np.ndarray) -> np.ndarray:
        """The mean of the defined `values` [P] (of `images` [P]) in every sample, NaN if none."""
        defined = ~np.isnan(values)
        position = np.searchsorted(self.images, images[defined])
        sums = np.bincount(position, values[defined], len(self.images))
        counts = np.bincount(position, minlength=len(self.images)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            return (self.weights @ sums) / (self.weights @ counts)


def summarise_agreement(
    table: AgreementTable,
    object_counts: np.ndarray,
    label_names: Sequence[str],
    samples: int = 1000,
    seed: int = 0,
) -> dict:
    """Everything that is reported of one model's agreement.

    Args:
        table: the pairs.
        object_counts: int [N], objects of every image of the split.
        label_names: L names.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `groups`: `all` and every outcome -> see `_summary`; `found_minus_missed`: metric ->
        difference of the means of the true positives and the false negatives; `clutter`: the
        summary of every bin of objects; `per_label`: of every label; `constant_heatmaps`.
    """
    bootstrap = ImageBootstrap.draw(table.images, samples, seed)
    everything = np.ones(len(table.images), bool)
    groups = {"all": everything} | {name: table.outcomes == name for name in OUTCOMES}
    objects = object_counts[table.images]
    clutter = []
    for low, high in clutter_bins():
        inside = (objects >= low) & (objects <= high)
        if inside.any():
            clutter.append({"objects": bin_name(low, high)} | _summary(table, inside, bootstrap))
    per_label = [
        {"label": label_names[label]} | _label_means(table, table.labels == label)
        for label in np.unique(table.labels)
    ]
    first = next(iter(table.scores["heatmap"].values()))
    return {
        "pairs": len(table.images),
        "images": len(bootstrap.images),
        "constant_heatmaps": int(np.isnan(first).sum()),
        "groups": {name: _summary(table, chosen, bootstrap) for name, chosen in groups.items()},
        "found_minus_missed": _found_minus_missed(table, groups, bootstrap),
        "clutter": clutter,
        "per_label": per_label,
    }


def compare_models(
    table: AgreementTable, baseline: AgreementTable, samples: int = 1000, seed: int = 0
) -> dict:
    """Metric -> mean difference of the heatmaps of two models over the labels that are present.

    Every such pair is in both tables, whatever the models predict.
    """
    present, other = (t.outcomes != "false_positive" for t in (table, baseline))
    images = table.images[present]
    if not len(images):
        return {}
    bootstrap = ImageBootstrap.draw(images, samples, seed)
    return {
        metric: _interval(
            values[present] - baseline.scores["heatmap"][metric][other], images, bootstrap
        )
        for metric, values in table.scores["heatmap"].items()
    }


def _summary(table: AgreementTable, chosen: np.ndarray, bootstrap: ImageBootstrap) -> dict:
    """`pairs`, `images`; `scores`: predictor -> metric -> mean and interval over the chosen pairs;
    `heatmap_minus_centre_bias`: metric -> the same of the differences."""
    images = table.images[chosen]
    scores = {
        predictor: {
            metric: _interval(values[chosen], images, bootstrap)
            for metric, values in by_metric.items()
        }
        for predictor, by_metric in table.scores.items()
    }
    centre = table.scores["centre_bias"]
    differences = {
        metric: _interval((values - centre[metric])[chosen], images, bootstrap)
        for metric, values in table.scores["heatmap"].items()
    }
    return {
        "pairs": int(chosen.sum()),
        "images": len(np.unique(images)),
        "scores": scores,
        "heatmap_minus_centre_bias": differences,
    }


def _label_means(table: AgreementTable, chosen: np.ndarray) -> dict:
    means = {
        predictor: {metric: _mean(values[chosen]) for metric, values in by_metric.items()}
        for predictor, by_metric in table.scores.items()
    }
    return {"pairs": int(chosen.sum()), "scores": means}


def _found_minus_missed(table, groups, bootstrap) -> dict:
    found, missed = groups["true_positive"], groups["false_negative"]
    result = {}
    for metric, values in table.scores["heatmap"].items():
        sides = [(values[chosen], table.images[chosen]) for chosen in (found, missed)]
        means = [_mean(own) for own, _ in sides]
        mean = None if None in means else means[0] - means[1]
        low, high = None, None
        if all(_is_of_several_images(*side) for side in sides):
            draws = [bootstrap.means(*side) for side in sides]
            low, high = _percentiles(draws[0] - draws[1])
        result[metric] = {"mean": mean, "low": low, "high": high}
    return result


def _is_of_several_images(values: np.ndarray, images: np.ndarray) -> bool:
    return len(np.unique(images[~np.isnan(values)])) > 1


def _interval(values: np.ndarray, images: np.ndarray, bootstrap: ImageBootstrap) -> dict:
    """`mean`, and `low` and `high` of its interval; None where undefined."""
    low, high = None, None
    if _is_of_several_images(values, images):
        low, high = _percentiles(bootstrap.means(values, images))
    return {"mean": _mean(values), "low": low, "high": high}


def _mean(values: np.ndarray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _percentiles(draws: np.ndarray) -> tuple[float | None, float | None]:
    # NaN: samples without any image of the group.
    return percentile_interval(draws) or (None, None)
