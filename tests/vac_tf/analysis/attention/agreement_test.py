"""Heatmaps scored as saliency maps: against the metrics called by hand, and in their means."""

import json

import numpy as np
import pytest

from tests.vac_tf.fixation_files import HEIGHT, WIDTH, random_looks, write_json
from vac_tf import saliency_metrics
from vac_tf.analysis.attention.agreement import measure_agreement, score_map
from vac_tf.analysis.attention.agreement_summary import (
    ImageBootstrap,
    compare_models,
    summarise_agreement,
)
from vac_tf.analysis.attention.reference import FixationReference, PredictedReference, match_images
from vac_tf.analysis.classifier_outputs import LabelHeatmaps
from vac_tf.analysis.objects.object_count_bins import clutter_bins
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.split import DatasetError
from vac_tf.evaluation.saliency_baselines import CentreBias, OtherFixations
from vac_tf.figures.heatmap_overlay import enlarge

NUM_IMAGES, LABELS = 6, ("cat", "dog", "red_car")


@pytest.fixture
def split(tmp_path):
    write_json(tmp_path, random_looks(NUM_IMAGES))
    return read_salicon(tmp_path, "train")


@pytest.fixture
def reference(split):
    return FixationReference(split, split.image_paths, "fixations")


def random_heatmaps(seed=0):
    """Labels, predictions, and a heatmap of every label that is present or predicted."""
    generator = np.random.default_rng(seed)
    labels = (generator.random((NUM_IMAGES, len(LABELS))) < 0.5).astype(np.float32)
    labels[0], labels[1, 2] = (1, 0, 1), np.nan
    predicted = generator.random(labels.shape) < 0.5
    predicted[0], predicted[1, 2] = (True, True, False), True
    pairs = np.argwhere((labels == 1) | predicted)
    maps = generator.normal(size=(len(pairs), 3, 4)).astype(np.float32)
    return labels, predicted, LabelHeatmaps(pairs[:, 0], pairs[:, 1], maps)


def test_scores_equal_the_metrics_called_by_hand(split, reference):
    labels, predicted, heatmaps = random_heatmaps()
    table = measure_agreement(heatmaps, labels, predicted, reference, seed=3)
    others = OtherFixations(split)
    halves = [CentreBias(split.select(np.arange(start, NUM_IMAGES, 2))) for start in (0, 1)]
    assert len(table.images) == np.sum(((labels == 1) | predicted) & ~np.isnan(labels))
    for row, (image, label) in enumerate(zip(table.images, table.labels, strict=True)):
        outcome = {
            (True, True): "true_positive",
            (True, False): "false_negative",
            (False, True): "false_positive",
        }[bool(labels[image, label] == 1), bool(predicted[image, label])]
        assert table.outcomes[row] == outcome
        counts, truth = split.counts(image), reference.density(image)
        # The metrics that do not depend on offset and scale, on the plainly enlarged heatmap.
        large = enlarge(heatmaps.of(image, label), HEIGHT, WIDTH).astype(np.float64)
        scores = {name: values[row] for name, values in table.scores["heatmap"].items()}
        assert scores["nss"] == pytest.approx(saliency_metrics.nss(large, counts), abs=1e-4)
        assert scores["cc"] == pytest.approx(saliency_metrics.cc(large, truth), abs=1e-4)
        judd = saliency_metrics.auc_judd(large, counts)
        assert scores["auc_judd"] == pytest.approx(judd, abs=2e-3)
        shuffled = saliency_metrics.shuffled_auc(large, counts, others.counts(image), seed=3)
        assert scores["shuffled_auc"] == pytest.approx(shuffled, abs=2e-3)
        kld = saliency_metrics.kld(large - large.min(), truth)
        assert scores["kld"] == pytest.approx(kld, abs=1e-3)
        centre = halves[(image + 1) % 2].density(HEIGHT, WIDTH)
        centre_nss = saliency_metrics.nss(centre, counts)
        assert table.scores["centre_bias"]["nss"][row] == pytest.approx(centre_nss)
        assert table.scores["chance"]["shuffled_auc"][row] == 0.5


def test_heatmaps_that_are_the_density_beat_the_centre(split, reference):
    labels = np.ones((NUM_IMAGES, 1), np.float32)
    maps = np.stack([reference.density(image) for image in range(NUM_IMAGES)])
    heatmaps = LabelHeatmaps(np.arange(NUM_IMAGES), np.zeros(NUM_IMAGES, int), maps)
    predicted = np.array([[True]] * 3 + [[False]] * 3)
    table = measure_agreement(heatmaps, labels, predicted, reference)
    np.testing.assert_allclose(table.scores["heatmap"]["cc"], 1, atol=1e-5)
    for metric, sign in {"nss": 1, "cc": 1, "auc_judd": 1, "shuffled_auc": 1, "kld": -1}.items():
        gain = table.scores["heatmap"][metric] - table.scores["centre_bias"][metric]
        assert (sign * gain > 0).all(), metric
    summary = summarise_agreement(table, np.ones(NUM_IMAGES, int), ("cat",), samples=50)
    difference = summary["groups"]["all"]["heatmap_minus_centre_bias"]["nss"]
    assert 0 < difference["low"] <= difference["mean"] <= difference["high"]


def test_summary_holds_the_means_of_the_table(reference):
    labels, predicted, heatmaps = random_heatmaps()
    table = measure_agreement(heatmaps, labels, predicted, reference)
    object_counts = np.array([1, 2, 3, 4, 20, 0])
    summary = summarise_agreement(table, object_counts, LABELS, samples=200, seed=1)
    json.dumps(summary, allow_nan=False)
    assert list(summary["groups"]) == ["all", "true_positive", "false_negative", "false_positive"]
    outcomes = [summary["groups"][name]["pairs"] for name in list(summary["groups"])[1:]]
    assert sum(outcomes) == summary["pairs"] == summary["groups"]["all"]["pairs"]
    nss = table.scores["heatmap"]["nss"]
    for name in ("true_positive", "false_negative"):
        expected = nss[table.outcomes == name].mean()
        mean = summary["groups"][name]["scores"]["heatmap"]["nss"]["mean"]
        assert mean == pytest.approx(expected)
    found_minus_missed = summary["found_minus_missed"]["nss"]["mean"]
    assert found_minus_missed == pytest.approx(
        nss[table.outcomes == "true_positive"].mean()
        - nss[table.outcomes == "false_negative"].mean()
    )
    assert [row["objects"] for row in summary["clutter"]] == ["1", "2 to 3", "4 to 7", "16 or more"]
    by_label = {row["label"]: row for row in summary["per_label"]}
    assert by_label["dog"]["pairs"] == np.sum(table.labels == 1)
    again = summarise_agreement(table, object_counts, LABELS, samples=200, seed=1)
    assert again == summary
    same = compare_models(table, table, samples=20)
    assert same["nss"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_the_bootstrap_draws_whole_images():
    images = np.array([4, 4, 4, 9])
    values = np.array([1.0, 1.0, 1.0, 5.0])
    means = ImageBootstrap.draw(images, 500, seed=0).means(values, images)
    # Both once, only the first, only the second image.
    assert set(np.round(means, 6)) == {2.0, 1.0, 5.0}
    undefined = ImageBootstrap.draw(images, 500, seed=0).means(values * [1, 1, 1, np.nan], images)
    assert set(undefined[~np.isnan(undefined)]) == {1.0}


def test_clutter_bins_have_no_gaps():
    bins = clutter_bins()
    assert bins[0][0] == 1 and bins[-1][1] == np.inf
    assert all(high + 1 == low for (_, high), (low, _) in zip(bins, bins[1:], strict=False))


def test_constant_heatmaps_are_counted_and_have_no_score(reference):
    labels, predicted, heatmaps = random_heatmaps()
    heatmaps.maps[0] = 3.0
    table = measure_agreement(heatmaps, labels, predicted, reference)
    summary = summarise_agreement(table, np.ones(NUM_IMAGES, int), LABELS, samples=20)
    assert summary["constant_heatmaps"] == 1
    assert summary["pairs"] == len(table.images)
    json.dumps(summary, allow_nan=False)


def test_predicted_saliency_stands_in_for_fixations(split):
    maps = np.random.default_rng(2).random((NUM_IMAGES, HEIGHT, WIDTH))

    def predict(image, height, width):
        density = enlarge(maps[image], height, width).astype(np.float64)
        return density / density.sum()

    reference = PredictedReference(predict, split.image_paths)
    labels, predicted, heatmaps = random_heatmaps()
    table = measure_agreement(heatmaps, labels, predicted, reference)
    assert set(table.scores["heatmap"]) == {"cc", "kld"}
    assert reference.density(2).shape == (HEIGHT, WIDTH)
    scores = score_map(reference.density(2), reference.at(2), seed=0)
    assert scores["cc"] == pytest.approx(1) and scores["kld"] == pytest.approx(0, abs=1e-9)
    with pytest.raises(DatasetError, match="at least two images"):
        PredictedReference(predict, split.image_paths[:1])


def test_images_are_matched_by_path_then_by_unique_name():
    images = ["a/1.jpg", "b/2.jpg", "c/3.jpg", "d/3.jpg", "e/9.jpg"]
    others = ["x/COCO_val2014_2.png", "a/1.jpg", "y/1.png", "z/3.jpg"]
    assert match_images(images, others) == {0: 1, 1: 0}


def test_images_without_fixations_are_left_out(split):
    paths = ["elsewhere/nobody.png", *split.image_paths]
    reference = FixationReference(split, paths, "fixations")
    assert reference.images == list(range(1, NUM_IMAGES + 1))
    np.testing.assert_array_equal(reference.at(1).counts, split.counts(0))
    with pytest.raises(DatasetError, match="0 of the 1 images were found.*matched by file name"):
        FixationReference(split, ["elsewhere/nobody.png"], "fixations")


def test_one_image_on_a_side_has_no_interval(reference):
    labels, predicted = np.ones((NUM_IMAGES, 1), np.float32), np.ones((NUM_IMAGES, 1), bool)
    predicted[0] = False
    maps = np.random.default_rng(0).normal(size=(NUM_IMAGES, 3, 4)).astype(np.float32)
    heatmaps = LabelHeatmaps(np.arange(NUM_IMAGES), np.zeros(NUM_IMAGES, int), maps)
    for missed, has_interval in ((1, False), (2, True)):
        predicted[:missed] = False
        table = measure_agreement(heatmaps, labels, predicted, reference)
        counts = np.ones(NUM_IMAGES, int)
        summary = summarise_agreement(table, counts, ["cat"], samples=100)
        difference = summary["found_minus_missed"]["nss"]
        assert difference["mean"] is not None
        assert (difference["low"] is not None) == has_interval
