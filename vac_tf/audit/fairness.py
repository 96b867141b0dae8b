"""Is consistency shared fairly among labels, or do some pay for the others?"""

import numpy as np

from vac_tf.analysis.correlation import correlate


def fairness(labels: list[dict]) -> dict:
    """The spread of the labels' inconsistency, and what goes with it.

    Args:
        labels: Of `consistency_by_label`, with `images` (on how many the label is: of the truth, or
            decided where there is none) and, where there is truth, `average_precision`.

    Returns:
        `labels` (with a number), `least`, `quarter`, `median`, `three_quarters`, `greatest` of
        their relative inconsistency; `spread`, the 90 % quantile over the 10 % one (1: all alike);
        `most_consistent` and `least_consistent`, names of up to 5; `with_images` and
        `with_average_precision`, Spearman's correlation of `vac_tf.analysis.correlation`.
    """
    known = [label for label in labels if label["relative"] is not None]
    values = np.array([label["relative"] for label in known], np.float64)
    if not len(values):
        return {"labels": 0}
    quantiles = np.quantile(values, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)).tolist()
    least, tenth, quarter, median, three_quarters, nine_tenths, greatest = quantiles
    order = [known[place]["label"] for place in np.argsort(values, kind="stable")]
    return {
        "labels": len(values),
        "least": least,
        "quarter": quarter,
        "median": median,
        "three_quarters": three_quarters,
        "greatest": greatest,
        "spread": nine_tenths / tenth if tenth > 0 else None,
        "most_consistent": order[:5],
        "least_consistent": order[::-1][:5],
        "with_images": _spearman(values, [label["images"] for label in known]),
        "with_average_precision": _spearman(
            values, [label.get("average_precision") for label in known]
        ),
    }


def _spearman(values, others) -> dict:
    found = correlate(values, others)
    return {"count": found["count"], "reason": found["reason"]} | (
        found["spearman"] or {"correlation": None, "p_value": None}
    )
