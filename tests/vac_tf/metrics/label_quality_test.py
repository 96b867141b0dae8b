"""Suspected labels: as cleanlab scores them, unknown ones left out."""

import numpy as np
import pytest
import scipy.stats

from vac_tf.metrics.label_quality import image_quality, self_confidence


@pytest.fixture
def example():
    generator = np.random.default_rng(0)
    labels = (generator.random((500, 12)) < 0.3).astype(np.float32)
    logits = generator.normal(size=labels.shape) + 3 * labels - 1.5
    return labels, 1 / (1 + np.exp(-logits))


def test_a_label_is_as_good_as_the_network_says(example):
    labels, probabilities = example
    quality = self_confidence(labels, probabilities)
    np.testing.assert_allclose(quality[labels == 1], probabilities[labels == 1])
    np.testing.assert_allclose(quality + self_confidence(1 - labels, probabilities), 1.0)


def test_unknown_labels_are_left_out(example):
    labels, probabilities = example
    more = np.concatenate([labels, np.full((len(labels), 3), np.nan)], axis=1)
    filled = np.concatenate([probabilities, np.full((len(labels), 3), 0.9)], axis=1)
    np.testing.assert_allclose(image_quality(more, filled), image_quality(labels, probabilities))
    assert np.isnan(image_quality(np.full((1, 2), np.nan), np.full((1, 2), 0.5))).all()


def test_a_wrong_label_lowers_an_image_and_the_worst_count_most(example):
    labels, probabilities = example
    flipped = labels.copy()
    worst = np.argmax(self_confidence(labels, probabilities), axis=1)
    flipped[np.arange(500), worst] = 1 - flipped[np.arange(500), worst]
    assert (image_quality(flipped, probabilities) < image_quality(labels, probabilities)).all()
    lowest = self_confidence(labels, probabilities).min(axis=1)
    np.testing.assert_allclose(image_quality(labels, probabilities, weight=1.0), lowest)


@pytest.mark.slow
def test_scores_equal_cleanlabs(example):
    reason = "cleanlab, the reference, is not installed: pip install -r requirements-references.txt"
    classification = pytest.importorskip("cleanlab.multilabel_classification", reason=reason)
    labels, probabilities = example
    lists = [np.flatnonzero(row).tolist() for row in labels]
    found = image_quality(labels, probabilities)
    scores = classification.get_label_quality_scores(
        lists, probabilities, method="self_confidence", adjust_pred_probs=False
    )
    np.testing.assert_allclose(found, scores, rtol=1e-12)
    assert scipy.stats.spearmanr(found, scores).statistic >= 0.99
    per_class = classification.rank.get_label_quality_scores_per_class(
        lists, probabilities, method="self_confidence"
    )
    np.testing.assert_allclose(self_confidence(labels, probabilities), per_class, rtol=1e-12)


def test_the_next_value_is_four_fifths_of_the_average():
    labels, probabilities = np.array([[1.0, 0.0, 1.0]]), np.array([[0.9, 0.4, 0.2]])
    # The values fall: 0.9, 0.6, 0.2.
    expected = 0.8 * 0.2 + 0.2 * (0.8 * 0.6 + 0.2 * 0.9)
    np.testing.assert_allclose(image_quality(labels, probabilities), [expected])
