"""The reliability diagram: how often the network is right when it says how sure it is."""

import numpy as np
from markupsafe import Markup

from vac_tf.decisions.calibration import BINS
from vac_tf.pages.charts import Line, line_chart


def reliability_points(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> list[tuple[float, float]]:
    """Mean probability and share of positives of each bin, all labels pooled.

    Bins hold equally many labels of images, as those of the expected calibration error do; those
    that stay empty, since equal probabilities share a bin, are left out.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (left out).
        probabilities: `[N, L]`.
        bins: number of bins.
    """
    known = ~np.isnan(labels)
    if not known.any():
        return []
    values, truth = probabilities[known].astype(np.float64), labels[known]
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    members = np.searchsorted(edges, values)
    sizes, mean, share = (np.bincount(members, weights, bins) for weights in (None, values, truth))
    return [
        (float(mean[bin_] / sizes[bin_]), float(share[bin_] / sizes[bin_]))
        for bin_ in np.flatnonzero(sizes)
    ]


def reliability_chart(labels: np.ndarray, probabilities: np.ndarray) -> Markup:
    """The points as a chart; on its diagonal probabilities are frequencies."""
    points = reliability_points(labels, probabilities)
    return line_chart(
        [Line("network", points, has_marks=True)],
        "mean probability",
        "share that has the label",
        f"Share of positives by mean probability, in {len(points)} bins of equally many.",
        x_range=(0.0, 1.0),
        y_range=(0.0, 1.0),
        has_diagonal=True,
    )
