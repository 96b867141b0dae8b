"""AUC: scikit-learn's, weighted ones too, and intervals that hold it."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vac_tf.metrics.roc import roc_auc, roc_auc_interval


def draw(seed, count=300):
    random = np.random.default_rng(seed)
    positive = random.uniform(size=count) < 0.3
    scores = np.round(random.normal(size=count) + positive, 1)  # With ties.
    return positive, scores, random.integers(0, 4, count)


@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learn(seed):
    positive, scores, weights = draw(seed)
    assert roc_auc(positive, scores) == pytest.approx(roc_auc_score(positive, scores))
    expected = roc_auc_score(positive, scores, sample_weight=weights)
    assert roc_auc(positive, scores, weights) == pytest.approx(expected)
    assert roc_auc(positive, -scores) == pytest.approx(1 - roc_auc(positive, scores))


def test_strata_are_compared_each_by_itself():
    positive, scores, weights = draw(5)
    strata = np.random.default_rng(1).integers(0, 4, len(scores))
    parts = [(positive[strata == s], scores[strata == s]) for s in range(4)]
    pairs = [one.sum() * (~one).sum() for one, _ in parts]
    expected = np.average([roc_auc(*part) for part in parts], weights=pairs)
    assert roc_auc(positive, scores, strata=strata) == pytest.approx(expected)
    # What is the same within a stratum does not count, however much it says between them.
    between = scores + 100 * strata
    assert roc_auc(positive, between, strata=strata) == pytest.approx(expected)
    assert roc_auc(positive, scores, weights, np.zeros(len(scores))) == roc_auc(
        positive, scores, weights
    )
    assert roc_auc([True, False], [1, 0], strata=[0, 1]) is None


def test_is_undefined_without_both_kinds_and_chance_for_constant_scores():
    assert roc_auc([True, True], [0.1, 0.2]) is None
    assert roc_auc([], []) is None
    assert roc_auc([True, False, False], [1, 1, 1]) == 0.5
    with pytest.raises(ValueError, match="two vectors"):
        roc_auc(True, 0.5)
    with pytest.raises(ValueError, match="not finite"):
        roc_auc([True, False], [np.nan, 0.0])


def test_the_interval_holds_the_auc_and_shrinks_with_more_images():
    widths = []
    for count in (100, 1600):
        positive, scores, _ = draw(0, count)
        images = np.arange(count) // 2
        found = roc_auc_interval(positive, scores, images, count // 2, samples=200, seed=0)
        assert found["low"] < found["auc"] < found["high"]
        assert found["positives"] + found["negatives"] == count
        widths.append(found["high"] - found["low"])
    assert widths[1] < widths[0] / 2
    assert roc_auc_interval([True], [1.0], [0], 1, 10, 0)["low"] is None
