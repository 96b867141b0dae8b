"""What the page says of results: nothing where a test shows nothing, else the direction."""

import numpy as np
import pytest

from vac_tf.analysis.attention.section import attention_section
from vac_tf.analysis.objects.section import objects_section
from vac_tf.analysis.objects.statistics import class_correlations, found_against_missed


def readings(found, missed, precisions=(0.1, 0.2)):
    """Of objects whose size is given; labels alternate."""
    sizes = np.concatenate([found, missed])
    labels = np.arange(len(sizes)) % len(precisions)
    table = {
        "label": labels,
        "size": sizes,
        "found": np.arange(len(sizes)) < len(found),
        "left_out": np.full(len(sizes), ""),
    }
    names = [f"label {index}" for index in range(len(precisions))]
    correlations = class_correlations(table, precisions, names)
    return objects_section(found_against_missed(table), correlations, {}).readings


def test_a_difference_is_stated_with_its_direction():
    generator = np.random.default_rng(0)
    large, small = generator.normal(0.5, 0.05, 40), generator.normal(0.1, 0.05, 40)
    assert readings(large, small)[1].startswith("Found objects are larger than missed ones (")
    assert readings(small, large)[1].startswith("Found objects are smaller than missed ones (")
    assert "p < 0.0001" in readings(large, small)[1]


def test_no_difference_is_claimed_where_none_is_shown():
    generator = np.random.default_rng(0)
    same = generator.normal(0.5, 0.05, (2, 40))
    assert "no difference is shown" in readings(*same)[1]
    few = readings(generator.normal(0.9, 0.01, 3), generator.normal(0.1, 0.01, 40))[1]
    assert "3 found against 40 missed objects are too few for a statement" in few
    assert "no test; 1 found and 40 missed" in readings(same[0][:1], same[1])[1]


def test_correlations_need_labels_and_both_coefficients():
    line = readings(np.linspace(0.1, 0.9, 10), np.zeros(10), np.linspace(0.1, 0.9, 20))[2]
    assert "Average precision is lower" in line and "20 labels" in line
    few = readings(np.linspace(0.1, 0.9, 4), [], np.linspace(0.1, 0.9, 4))[2]
    assert few.startswith("No correlation of average precision with size is shown")
    # One outlier makes Pearson's coefficient, not that of the ranks.
    sizes, precisions = [0.9, *[0.1, 0.2] * 6], [0.9, *[0.1, 0.1, 0.2, 0.2] * 3]
    outlier = readings(sizes, [], precisions)[2]
    assert "p < 0.0001" in outlier and outlier.startswith("No correlation")


def agreement(heatmap, centre, low, high, kld_low, kld_high):
    """A result of `analyze_attention` with one model and two metrics."""

    def scores(value):
        return {name: {"mean": value, "low": value, "high": value} for name in ("cc", "kld")}

    group = {
        "pairs": 10,
        "images": 5,
        "scores": {"heatmap": scores(heatmap), "centre_bias": scores(centre)},
        "heatmap_minus_centre_bias": {
            "cc": {"mean": (low + high) / 2, "low": low, "high": high},
            "kld": {"mean": (kld_low + kld_high) / 2, "low": kld_low, "high": kld_high},
        },
    }
    names = ("all", "true_positive", "false_negative", "false_positive")
    nothing = {"mean": 0.0, "low": -0.1, "high": 0.1}
    summary = {
        "pairs": 10,
        "images": 5,
        "constant_heatmaps": 0,
        "groups": dict.fromkeys(names, group),
        "found_minus_missed": {"cc": nothing, "kld": nothing},
        "clutter": [],
    }
    return {
        "reference": "predicted saliency",
        "images_without_fixations": 0,
        "models": {"net": summary},
        "streams": {},
    }


@pytest.mark.parametrize(
    "intervals, verdict",
    [
        ((0.1, 0.2, -0.5, -0.1), "better by CC, KLD ("),
        ((0.1, 0.2, 0.1, 0.5), "better by CC; worse by KLD ("),
        ((-0.1, 0.2, 0.1, 0.5), "worse by KLD; not distinguishable by CC ("),
    ],
)
def test_heatmaps_are_judged_by_every_metric(intervals, verdict):
    section = attention_section(agreement(0.5, 0.4, *intervals), {})
    assert f"against the centre bias: {verdict}" in section.readings[1]
    assert "no difference between labels found and missed is shown" in section.readings[2]
