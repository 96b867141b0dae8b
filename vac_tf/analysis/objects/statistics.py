"""What distinguishes found from missed objects (Luo et al., 2019, Section 3.2).

The paper's tests take objects for independent. Objects of one image and one label are found or
missed together, so the p-values are smaller than they should be; the effect sizes are not.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from vac_tf.analysis.correlation import correlate
from vac_tf.analysis.objects.table import CROWD, NO_PIXELS, QUANTITIES


def found_against_missed(table: dict[str, np.ndarray]) -> dict:
    """Compares the objects whose label is predicted with those whose label is not (Figure 2).

    Args:
        table: columns of `object_table`; rows with `left_out` are not used.

    Returns:
        A dict that `json.dump` takes:

        * `objects`: `used`, `found`, `missed`, `crowds_left_out`, `left_out_without_pixels`;
        * `quantities`: size, distance, predicted_saliency, true_saliency (those in the table) ->
          * `found` and `missed`: `count`, `mean`, `standard_error` (of the mean, n - 1; None where
            there are too few objects);
          * `without_value`: objects used, but without this quantity;
          * `t_test` (unpaired, equal variances, as the paper) and `welch_t_test`: `t`,
            `degrees_of_freedom`, two-sided `p_value`; t is positive where found objects have the
            greater mean; `effect_size`, see `cohens_d`; None all three with a `reason` when a
            group has fewer than two objects, or both groups are constant. `reason` is None
            otherwise.
    """
    used = table["left_out"] == ""
    found = table["found"]
    return {
        "objects": {
            "used": int(np.sum(used)),
            "found": int(np.sum(used & found)),
            "missed": int(np.sum(used & ~found)),
            "crowds_left_out": int(np.sum(table["left_out"] == CROWD)),
            "left_out_without_pixels": int(np.sum(table["left_out"] == NO_PIXELS)),
        },
        "quantities": {
            name: _compare(table[name][used & found], table[name][used & ~found])
            for name in QUANTITIES
            if name in table
        },
    }


def found_against_missed_by_class(
    table: dict[str, np.ndarray], label_names: Sequence[str]
) -> dict[str, dict]:
    """`found_against_missed` among the objects of each label, by the label's name.

    Labels differ in both the size of their objects and how easily they are found, which the
    comparison over all objects mixes up; within a label this does not matter. A label without any
    row in the table is not in the result; one with too few objects says so in `reason`.
    """
    by_class = {}
    for label in np.unique(table["label"]):
        rows = table["label"] == label
        of_class = {name: column[rows] for name, column in table.items()}
        by_class[label_names[label]] = found_against_missed(of_class)
    return by_class


def cohens_d(first: np.ndarray, second: np.ndarray) -> float:
    """Difference of two groups' means in units of their pooled standard deviation.

    `d = (mean_1 - mean_2) / s`, `s^2 = ((n_1 - 1) s_1^2 + (n_2 - 1) s_2^2) / (n_1 + n_2 - 2)`, with
    unbiased variances (Cohen, 1988); it equals `t sqrt(1 / n_1 + 1 / n_2)` of the t-test with
    equal variances.
    """
    squares = sum((len(group) - 1) * np.var(group, ddof=1) for group in (first, second))
    pooled = math.sqrt(squares / (len(first) + len(second) - 2))
    return float((np.mean(first) - np.mean(second)) / pooled)


def class_means(table: dict[str, np.ndarray], num_labels: int) -> dict[str, list[float | None]]:
    """Mean of every quantity over each label's objects.

    Args:
        table: columns of `object_table`; rows with `left_out` are not used.
        num_labels: L.

    Returns:
        Quantity -> L means, None for a label without objects that have it; and `objects` -> L
        numbers of objects used.
    """
    used = table["left_out"] == ""
    labels = table["label"][used]
    means = {"objects": np.bincount(labels, minlength=num_labels).tolist()}
    for name in QUANTITIES:
        if name in table:
            values = table[name][used]
            has_value = ~np.isnan(values)
            counts = np.bincount(labels[has_value], minlength=num_labels)
            sums = np.bincount(labels[has_value], values[has_value], minlength=num_labels)
            means[name] = [
                float(total / count) if count else None
                for total, count in zip(sums, counts, strict=True)
            ]
    return means


def class_correlations(
    table: dict[str, np.ndarray],
    average_precision: Sequence[float | None],
    label_names: Sequence[str],
) -> dict:
    """Correlates the labels' average precision with the means of their objects' quantities.

    Args:
        table: columns of `object_table`; rows with `left_out` are not used.
        average_precision: of each of the L labels, None or NaN where undefined.
        label_names: L names.

    Returns:
        A dict that `json.dump` takes:

        * `classes`: for each label with AP and objects, in their order, `name`,
          `average_precision`, `objects` (how many) and the mean of every quantity in the table
          (None where no object of the label has it);
        * `without_average_precision`, `without_objects`: names of the labels left out;
        * `correlations`: quantity -> `count` (classes used), `pearson` and `spearman` (each
          `correlation` and `p_value`) or None with a `reason`, such as fewer than 3 classes.

    Raises:
        ValueError: numbers of labels that differ.
    """
    if len(average_precision) != len(label_names):
        raise ValueError(
            f"Got the average precision of {len(average_precision)} labels for"
            f" {len(label_names)} label names. Expected one for each."
        )
    means = class_means(table, len(label_names))
    classes, without_average_precision, without_objects = [], [], []
    for label, (name, value) in enumerate(zip(label_names, average_precision, strict=True)):
        if value is None or math.isnan(value):
            without_average_precision.append(name)
        elif not means["objects"][label]:
            without_objects.append(name)
        else:
            row = {"name": name, "average_precision": float(value)}
            classes.append(row | {column: values[label] for column, values in means.items()})
    precisions = [row["average_precision"] for row in classes]
    return {
        "classes": classes,
        "without_average_precision": without_average_precision,
        "without_objects": without_objects,
        "correlations": {
            name: correlate([row[name] for row in classes], precisions)
            for name in means
            if name != "objects"
        },
    }


def _compare(found: np.ndarray, missed: np.ndarray) -> dict:
    num_objects = len(found) + len(missed)
    found, missed = found[~np.isnan(found)], missed[~np.isnan(missed)]
    result = {
        "found": _summary(found),
        "missed": _summary(missed),
        "without_value": num_objects - len(found) - len(missed),
    }
    tests = dict.fromkeys(("t_test", "welch_t_test", "effect_size"))
    if min(len(found), len(missed)) < 2:
        reason = f"{len(found)} found and {len(missed)} missed objects; a t-test needs two of each"
    elif np.ptp(found) == 0 and np.ptp(missed) == 0:
        reason = "the quantity is the same for all found and for all missed objects"
    else:
        reason = None
        tests["t_test"] = _t_test(found, missed, equal_var=True)
        tests["welch_t_test"] = _t_test(found, missed, equal_var=False)
        tests["effect_size"] = cohens_d(found, missed)
    return result | tests | {"reason": reason}


def _summary(values: np.ndarray) -> dict:
    return {
        "count": len(values),
        "mean": float(np.mean(values)) if len(values) else None,
        "standard_error": float(stats.sem(values)) if len(values) > 1 else None,
    }


def _t_test(first: np.ndarray, second: np.ndarray, equal_var: bool) -> dict:
    result = stats.ttest_ind(first, second, equal_var=equal_var)
    return {
        "t": float(result.statistic),
        "degrees_of_freedom": float(result.df),
        "p_value": float(result.pvalue),
    }
