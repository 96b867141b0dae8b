"""Saliency metrics of one image under their names, and their means over images."""

import numpy as np
import pytest

from vac_tf import saliency_metrics
from vac_tf.metrics.saliency_scores import METRICS, mean_scores, score_image

NAN = float("nan")


def maps(seed):
    generator = np.random.default_rng(seed)
    saliency, density, baseline = generator.random((3, 12, 16))
    counts, others = generator.integers(0, 3, (2, 12, 16))
    return saliency, counts, density, others, baseline


def test_every_metric_is_there_under_its_name():
    saliency, counts, density, others, baseline = maps(0)
    scores = score_image(saliency, counts, density, others, baseline, seed=3)
    assert set(scores) == set(METRICS)
    for name in ("cc", "kld", "sim"):
        assert scores[name] == getattr(saliency_metrics, name)(saliency, density)
    for name in ("nss", "auc_judd"):
        assert scores[name] == getattr(saliency_metrics, name)(saliency, counts)
    assert scores["auc_borji"] == saliency_metrics.auc_borji(saliency, counts, 3)
    assert scores["shuffled_auc"] == saliency_metrics.shuffled_auc(saliency, counts, others, 3)
    assert scores["information_gain"] > 0.0 or scores["information_gain"] <= 0.0
    del scores["information_gain"]
    assert score_image(saliency, counts, density, others, seed=3) == scores


def test_the_density_itself_is_better_in_the_direction_that_is_named():
    saliency, counts, density, others, baseline = maps(1)
    counts = (density > 0.9).astype(int)
    good = score_image(density, counts, density, others, baseline)
    poor = score_image(1.0 - density, counts, density, others, baseline)
    for name, higher_is_better in METRICS.items():
        assert (good[name] > poor[name]) == higher_is_better


def test_means_and_standard_errors_are_of_the_images_where_a_metric_is_defined():
    rows = [{"nss": 1.0, "cc": 2.0}, {"nss": NAN, "cc": 4.0}, {"nss": NAN, "cc": 9.0}]
    summary = mean_scores(rows)
    assert summary["nss"] == {"mean": 1.0, "standard_error": None, "images": 1}
    assert summary["cc"]["mean"] == 5.0 and summary["cc"]["images"] == 3
    # The deviations are -3, -1 and 4: a variance of 13 over 3 images.
    assert summary["cc"]["standard_error"] == pytest.approx(np.sqrt(13.0 / 3.0))
    two = mean_scores([{"nss": 1.0}, {"nss": 3.0}])["nss"]
    assert two["standard_error"] == pytest.approx(1.0)


def test_without_images_there_is_nothing_and_without_values_no_mean():
    assert mean_scores([]) == {}
    assert mean_scores([{"nss": NAN}])["nss"] == {"mean": None, "standard_error": None, "images": 0}
