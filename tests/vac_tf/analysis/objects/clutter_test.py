"""mAP by number of objects: groups equal their own evaluation, smoothing its slow version."""

import itertools
import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from vac_tf.analysis.objects.clutter import (
    map_by_object_bins,
    map_by_object_count,
    random_average_precision,
    smoothed,
)
from vac_tf.metrics.multilabel import evaluate_multilabel


def example(seed=0, count=120, num_labels=5):
    generator = np.random.default_rng(seed)
    labels = (generator.random((count, num_labels)) < 0.2).astype(np.float32)
    scores = {name: generator.random((count, num_labels)) for name in ("baseline", "dual stream")}
    return labels, scores, generator.poisson(3, count)


def test_each_group_is_evaluated_by_itself():
    labels, scores, counts = example()
    result = map_by_object_count(labels, scores, counts)
    assert result["histogram"]["images"] == [
        int(np.sum(counts == count)) for count in range(counts.max() + 1)
    ]
    for index, group in enumerate(result["groups"]):
        chosen = counts == group["object_count"]
        assert group["images"] == chosen.sum()
        for name in scores:
            expected = evaluate_multilabel(labels[chosen], scores[name][chosen])
            value = result["models"][name]["mAP"][index]
            assert value == pytest.approx(expected["label_based"]["mAP"], rel=1e-12)
        assert group["labels"] == 5 - expected["conventions"]["num_labels_without_positives"]
    json.dumps(result, allow_nan=False)


def test_images_of_a_bin_are_ranked_together():
    labels, scores, counts = example()
    rows = map_by_object_bins(labels, scores, counts)
    limits = {"1": (1, 1), "2 to 3": (2, 3), "4 to 7": (4, 7), "8 to 15": (8, 15)}
    assert [row["objects"] for row in rows] == [*limits][: len(rows)] and len(rows) >= 3
    for row in rows:
        low, high = limits[row["objects"]]
        chosen = (counts >= low) & (counts <= high)
        assert row["images"] == chosen.sum() and 0 < row["chance"] < 1
        for name in scores:
            expected = evaluate_multilabel(labels[chosen], scores[name][chosen])
            assert row["mAP"][name] == pytest.approx(expected["label_based"]["mAP"], rel=1e-12)
    assert map_by_object_bins(labels, scores, np.zeros_like(counts)) == []


def test_groups_without_positives_are_named_and_skipped():
    labels, scores, counts = example()
    labels[counts == 2] = 0
    counts[counts == 4] = 40
    result = map_by_object_count(labels, scores, counts)
    groups = [group["object_count"] for group in result["groups"]]
    assert 2 in result["undefined"] and 2 not in groups and 4 not in groups
    assert result["histogram"]["images"][4] == 0 and len(result["histogram"]["images"]) == 41
    for values in result["models"].values():
        assert len(values["mAP"]) == len(values["smoothed"]) == len(groups)
        index = groups.index(3)
        assert groups[index - 1] == 1
        expected = np.mean(values["mAP"][index - 1 : index + 2])
        assert values["smoothed"][index] == pytest.approx(expected)


def test_nothing_is_positive():
    labels, scores, counts = example()
    result = map_by_object_count(np.zeros_like(labels), scores, counts)
    assert result["groups"] == [] and result["undefined"] == np.unique(counts).tolist()
    assert result["models"]["baseline"] == {"mAP": [], "smoothed": []}


def test_smoothing_pads_with_the_boundary_value():
    values = np.random.default_rng(0).random(9).tolist()
    padded = [values[0], *values, values[-1]]
    expected = [sum(padded[i : i + 3]) / 3 for i in range(len(values))]
    np.testing.assert_allclose(smoothed(values), expected)
    np.testing.assert_allclose(smoothed([0.4] * 5), [0.4] * 5)
    assert smoothed([0.7]) == pytest.approx([0.7])


@pytest.mark.parametrize(("num_images", "num_positives"), [(1, 1), (4, 1), (5, 2), (6, 5), (4, 4)])
def test_chance_is_the_mean_over_all_rankings(num_images, num_positives):
    labels = [1] * num_positives + [0] * (num_images - num_positives)
    scores = range(num_images)
    rankings = [average_precision_score(labels, order) for order in itertools.permutations(scores)]
    assert random_average_precision(num_images, num_positives) == pytest.approx(np.mean(rankings))


def test_a_group_of_one_image_is_perfect_by_chance():
    labels, scores, counts = example()
    counts[:] = 1
    counts[0], labels[0, 0] = 7, 1
    result = map_by_object_count(labels, scores, counts)
    assert result["groups"][-1]["chance"] == 1 and result["models"]["baseline"]["mAP"][-1] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels, scores, counts: (labels, {}, counts), "at least one model"),
        (lambda labels, scores, counts: (labels[:9], scores, counts[:9]), "of model 'baseline'"),
        (lambda labels, scores, counts: (labels, scores, counts[:9]), "of 120 images"),
        (lambda labels, scores, counts: (labels, scores, counts - 1), "integers from 0"),
        (lambda labels, scores, counts: (labels, scores, counts / 2), "got float64"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        map_by_object_count(*change(*example()))
