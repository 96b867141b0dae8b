"""Correlations of a course of training: what is tied is found, what only grows together is not."""

import numpy as np
import pytest
from scipy import stats

from vac_tf.analysis.attention.course_correlations import correlate_course, rank_correlations

EPOCHS, PAIRS = 6, 60
IMAGES = np.arange(PAIRS) // 2


def noise(seed, *shape):
    return np.random.default_rng(seed).normal(0, 1, shape or (EPOCHS, PAIRS))


def course(tie):
    """Scores and shares that both grow; `tie` of what a pair's share does on its own is in its
    score. The mirrored shares grow too."""
    trend = np.linspace(0, 3, EPOCHS)[:, None]
    own = noise(0)
    scores = trend + tie * own + 0.1 * noise(1)
    return IMAGES, scores, trend + own, trend + noise(2)


def test_what_is_tied_to_the_mask_alone_is_found():
    found = correlate_course(*course(tie=1.0), samples=100)
    assert (found["pairs"], found["images"], found["pairs_left_out"]) == (60, 30, 0)
    for question in ("over_epochs", "changes", "beyond_trends"):
        assert found[question]["mask"]["low"] > 0.5
        assert found[question]["difference"]["low"] > 0
    assert abs(found["beyond_trends"]["mirrored_mask"]["mean"]) < 0.2


def test_what_only_grows_together_is_no_finding():
    found = correlate_course(*course(tie=0.0), samples=100)
    assert found["over_epochs"]["mask"]["low"] > 0.3  # The trend alone.
    for question in ("over_epochs", "changes", "beyond_trends"):
        assert abs(found[question]["difference"]["mean"]) < 0.15
    assert abs(found["beyond_trends"]["mask"]["mean"]) < 0.15


def test_rank_correlations_are_those_of_scipy_and_undefined_where_nothing_changes():
    scores, shares = noise(3).round(1), noise(4).round(1)
    shares[:, 1] = 0.5
    pairs = zip(scores.T[2:], shares.T[2:], strict=True)
    expected = [stats.spearmanr(*columns).statistic for columns in pairs]
    found = rank_correlations(scores, shares)
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[2:], expected, atol=1e-12)


def test_pairs_are_drawn_with_their_image():
    """A copy of every pair in its own image adds no information: the interval stays."""
    images, *values = course(tie=0.3)
    once = correlate_course(images, *values, samples=200)["beyond_trends"]["mask"]
    twice = [np.concatenate([each, each], axis=1) for each in values]
    doubled = correlate_course(np.concatenate([images, images]), *twice, samples=200)
    assert doubled["beyond_trends"]["mask"] == pytest.approx(once, abs=1e-9)


def test_pairs_with_a_constant_heatmap_are_left_out():
    images, scores, inside, mirrored = course(tie=1.0)
    inside[2, :2] = np.nan
    found = correlate_course(images, scores, inside, mirrored, samples=10)
    rest = correlate_course(*(each[..., 2:] for each in (images, scores, inside, mirrored)), 10)
    assert found["pairs_left_out"] == 2
    assert {**found, "pairs_left_out": 0} == rest
    inside[:, 2:] = np.nan
    with pytest.raises(ValueError, match="0 of 60 pairs"):
        correlate_course(images, scores, inside, mirrored)
    with pytest.raises(ValueError, match="at least 3 epochs"):
        correlate_course(images, scores[:2], inside[:2], mirrored[:2])
