"""How far heatmaps and decisions follow the views, in all, by label and by image.

Conventions as in `evaluation.json`: `raw` is the mean squared difference (Guo et al., CVPR 2019,
Equation 5 and Table 2), `relative` is that over the mean of each heatmap's own variance: 0 for
heatmaps that follow exactly, 2 for such that have nothing to do with each other.
"""

import numpy as np

from vac_tf.audit.measurement import Measurement
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts


def consistency_by_view(
    measured: Measurement, samples: int, seed: int, units: np.ndarray | None = None
) -> dict[str, dict]:
    """Of every view, over all images and labels.

    Args:
        measured: N images.
        samples: of the bootstrap.
        seed: of the samples.
        units: `[N]`, `Split.unit_numbers`: images of one person, say, which are drawn together.

    Returns:
        kind -> `title`; `raw`; `relative` with `low` and `high` (95 % of resamples);
        `relative_decided`, of the heatmaps of decided labels alone; `decisions_changed` and
        `positive_decisions_changed`, shares of all decisions and of the positive ones;
        `gained` and `lost`, decisions that the view adds and takes away; `probability_change`, the
        mean absolute one. None where there is no unit or no decided label.
    """
    counts = list(resample_counts(len(measured.names), samples, seed, units))
    decided = measured.decided
    return {
        kind: {"title": title}
        | _relative(measured, measured.differences[kind], counts)
        | _decisions(decided, measured.decided_in(kind))
        | {
            "probability_change": float(
                np.mean(np.abs(measured.view_probabilities[kind] - measured.probabilities))
            )
        }
        for kind, title in measured.view_titles.items()
    }


def consistency_by_label(measured: Measurement) -> list[dict]:
    """Of every label, over all images.

    Returns:
        For each label `label`, `threshold`, `decided` (images), `relative` (mean over the views),
        `relative_decided`, `views` (kind -> relative) and `decisions_changed` (kind -> images).
    """
    decided = measured.decided
    unit = measured.variances.mean(axis=0, dtype=np.float64)
    unit_decided = _mean_where(measured.variances, decided)
    by_view = {
        kind: _ratio(values.mean(axis=0, dtype=np.float64), unit)
        for kind, values in measured.differences.items()
    }
    of_decided = [
        _ratio(_mean_where(values, decided), unit_decided)
        for values in measured.differences.values()
    ]
    relative, relative_decided = (
        np.mean(list(by_view.values()), axis=0),
        np.mean(of_decided, axis=0),
    )
    changed = {
        kind: np.sum(measured.decided_in(kind) != decided, axis=0) for kind in measured.differences
    }
    return [
        {
            "label": name,
            "threshold": float(measured.thresholds[label]),
            "decided": int(decided[:, label].sum()),
            "relative": _number(relative[label]),
            "relative_decided": _number(relative_decided[label]),
            "views": {kind: _number(values[label]) for kind, values in by_view.items()},
            "decisions_changed": {kind: int(values[label]) for kind, values in changed.items()},
        }
        for label, name in enumerate(measured.label_names)
    ]


def consistency_by_image(measured: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """Of every image over all labels and views: relative inconsistency, and decisions changed.

    Returns:
        float64 `[N]`, NaN where all heatmaps are constant, and int `[N]`.
    """
    differences = np.mean([values.sum(axis=1) for values in measured.differences.values()], axis=0)
    unit = measured.variances.sum(axis=1, dtype=np.float64)
    decided = measured.decided
    changed = sum(
        np.sum(measured.decided_in(kind) != decided, axis=1) for kind in measured.differences
    )
    return _ratio(differences, unit), changed


def in_units_of_labels(measured: Measurement) -> np.ndarray:
    """float64 `[N, L]`: the mean difference of each heatmap over the views, in its label's unit.

    The unit is the mean variance of the label's heatmaps over all images, so that an image whose
    heatmap is nearly constant does not count for more. NaN for labels without a unit.
    """
    differences = np.mean(list(measured.differences.values()), axis=0, dtype=np.float64)
    return _ratio(differences, measured.variances.mean(axis=0, dtype=np.float64)[None])


def _relative(measured, differences, counts) -> dict:
    by_image = differences.sum(axis=1, dtype=np.float64)
    unit_by_image = measured.variances.sum(axis=1, dtype=np.float64)
    decided = measured.decided
    result = {
        "raw": float(differences.mean(dtype=np.float64)),
        "relative": _number(_ratio(by_image.sum(), unit_by_image.sum())),
        "low": None,
        "high": None,
        "relative_decided": _number(
            _ratio(
                differences[decided].sum(dtype=np.float64),
                measured.variances[decided].sum(dtype=np.float64),
            )
        ),
    }
    draws = np.concatenate([_ratio(by_image @ part, unit_by_image @ part) for part in counts])
    if interval := percentile_interval(draws):
        result |= dict(zip(("low", "high"), interval, strict=True))
    return result


def _decisions(decided: np.ndarray, in_view: np.ndarray) -> dict:
    changed = decided != in_view
    return {
        "decisions_changed": float(changed.mean()),
        "positive_decisions_changed": float(changed[decided].mean()) if decided.any() else None,
        "gained": int(np.sum(in_view & ~decided)),
        "lost": int(np.sum(decided & ~in_view)),
    }


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean over the images of each label's column where it is decided; NaN where it never is."""
    return _ratio(np.sum(values * where, axis=0, dtype=np.float64), where.sum(axis=0))


def _ratio(over, under) -> np.ndarray:
    """NaN where `under` is 0."""
    over, under = np.asarray(over, np.float64), np.asarray(under, np.float64)
    return np.divide(
        over, under, out=np.full(np.broadcast(over, under).shape, np.nan), where=under > 0
    )


def _number(value) -> float | None:
    return None if np.isnan(value) else float(value)
