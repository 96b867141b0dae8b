"""The density that a saliency network predicts: the softmax of its up-sampled logits."""

import numpy as np
import scipy.special

from vac_tf.metrics.saliency_density import saliency_density

LOGITS = np.random.default_rng(0).normal(0, 2, (5, 7))


def test_of_its_own_size_it_is_the_softmax():
    expected = scipy.special.softmax(LOGITS.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(saliency_density(LOGITS, 5, 7), expected, rtol=1e-12)


def test_it_sums_to_one_whatever_its_size_and_keeps_the_peak_in_place():
    logits = np.zeros((5, 7))
    logits[3, 4] = 2.0
    density = saliency_density(logits, 50, 21)
    assert density.shape == (50, 21) and density.dtype == np.float64
    np.testing.assert_allclose(density.sum(), 1.0, rtol=1e-12)
    row, column = np.unravel_index(density.argmax(), density.shape)
    assert (row // 10, column // 3) == (3, 4)


def test_an_offset_changes_nothing_and_large_logits_stay_finite():
    np.testing.assert_allclose(
        saliency_density(LOGITS + 100, 9, 9), saliency_density(LOGITS, 9, 9), rtol=1e-4
    )
    for offset in (1e4, -1e4):
        density = saliency_density(LOGITS + offset, 9, 9)
        assert np.isfinite(density).all() and abs(density.sum() - 1.0) < 1e-9


def test_between_two_cells_the_logits_are_interpolated_bilinearly():
    density = saliency_density(np.array([[0.0, 2.0]]), 1, 4)
    np.testing.assert_allclose(np.log(density[0]) - np.log(density[0, 0]), [0, 0.5, 1.5, 2])
