"""Saliency losses against the NumPy metrics, and what makes them safe to train with."""

import numpy as np
import pytest
import tensorflow as tf

from vac_tf import saliency_metrics
from vac_tf.losses.saliency import LOSSES, parse_losses

SIZE = (6, 9)


def case(seed=0, batch=3, scale=2.0):
    generator = np.random.default_rng(seed)
    logits = scale * generator.normal(size=(batch, *SIZE))
    density = generator.random((batch, *SIZE)) ** 4
    density[0, 0] = 0.0  # Densities reach zero, where log would be infinite.
    density /= density.sum(axis=(1, 2), keepdims=True)
    counts = generator.poisson(0.3, (batch, *SIZE))
    counts[:, 2, 3] = 1
    return tuple(values.astype("float32") for values in (logits, density, counts))


def softmax(logits):
    weights = np.exp(logits.astype("float64"))
    return weights / weights.sum()


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_metrics_of_the_softmax(seed):
    logits, density, counts = case(seed)
    values = {name: np.asarray(loss(logits, density, counts)) for name, loss in LOSSES.items()}
    for index in range(len(logits)):
        predicted, truth = softmax(logits[index]), density[index].astype("float64")
        close = pytest.approx
        assert values["kld"][index] == close(saliency_metrics.kld(predicted, truth), rel=1e-4)
        assert 1 - values["cc"][index] == close(saliency_metrics.cc(predicted, truth), abs=1e-4)
        assert 1 - values["sim"][index] == close(saliency_metrics.sim(predicted, truth), abs=1e-5)
        # A fixation counts as often as it occurs; the metric counts a pixel once.
        standard = (predicted - predicted.mean()) / predicted.std()
        expected = (counts[index] * standard).sum() / counts[index].sum()
        assert -values["nss"][index] == close(expected, rel=1e-4)
        target, sigmoid = truth / truth.max(), 1 / (1 + np.exp(-logits[index].astype("float64")))
        entropy = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).mean()
        assert values["bce"][index] == close(entropy, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_shift_of_all_logits_changes_nothing_but_bce(name):
    logits, density, counts = case()
    shifted = LOSSES[name](logits + 7, density, counts)
    same = np.allclose(shifted, LOSSES[name](logits, density, counts), atol=1e-4)
    assert same == (name != "bce")


@pytest.mark.parametrize("name", ["kld", "cc", "sim"])
def test_the_true_density_is_best(name):
    _, density, counts = case()
    best = LOSSES[name](np.log(density + 1e-12), density, counts)
    np.testing.assert_allclose(best, 0.0, atol=1e-4)
    assert np.all(np.asarray(LOSSES[name](*case(1)[:1], density, counts)) > 0.1)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite(name, scale):
    """Also of constant maps (scale 0), and where the softmax is one pixel (scale 10,000)."""
    logits, density, counts = case(scale=scale)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = LOSSES[name](variable, density, counts)
    assert np.isfinite(loss).all()
    gradient = tape.gradient(loss, variable).numpy()
    assert np.isfinite(gradient).all()
    assert scale > 1 or np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_going_down_the_gradient_improves(name):
    logits, density, counts = case(2)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(LOSSES[name](variable, density, counts))
    gradient = tape.gradient(loss, variable)
    better = LOSSES[name](variable - 0.01 * gradient / tf.norm(gradient), density, counts)
    assert tf.reduce_sum(better) < loss


@pytest.mark.parametrize("name", LOSSES)
def test_images_do_not_mix_and_nothing_fixated_is_no_error(name):
    logits, density, counts = case()
    together = np.asarray(LOSSES[name](logits, density, counts))
    alone = [np.asarray(LOSSES[name](*(v[i : i + 1] for v in case())))[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert np.isfinite(LOSSES[name](logits, density, 0 * counts)).all()


def test_losses_are_named_with_weights():
    assert parse_losses("kld") == {"kld": 1.0}
    assert parse_losses("kld:1, cc:0.5,nss:2") == {"kld": 1.0, "cc": 0.5, "nss": 2.0}
    for text, match in (
        ("", "unknown loss ''"),
        ("kl", "unknown loss 'kl'.*kld, cc, nss, sim, bce"),
        ("kld,kld:2", "named twice"),
        ("kld:x", "is no number"),
        ("kld:-1", "positive"),
        ("kld:0", "positive"),
        ("kld:nan", "positive"),
    ):
        with pytest.raises(ValueError, match=match):
            parse_losses(text)
