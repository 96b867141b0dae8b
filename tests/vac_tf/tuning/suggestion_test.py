"""Smoothing and the two rules, on courses whose answer is known."""

import math

import numpy as np
import pytest

from vac_tf.tuning.suggestion import RunningLoss, has_diverged, smooth, suggest

RATES = np.logspace(-6, 0, 121)


def valley(rates=RATES, at=1e-2):
    """A loss that is lowest at a rate, and falls fastest a power of ten before it."""
    away = np.log10(rates / at)
    return 2 - np.exp(-(away**2) / 2)


def test_a_running_loss_is_the_weighted_mean_of_what_was():
    losses = np.random.default_rng(0).uniform(size=20)
    running = RunningLoss(0.8)
    for number, loss in enumerate(losses, start=1):
        weights = 0.8 ** np.arange(number)[::-1]
        expected = np.average(losses[:number], weights=weights)
        assert running.add(loss) == pytest.approx(expected)


def test_smoothing_keeps_constants_and_mirrors_and_does_not_lag():
    assert smooth([3.0] * 9) == pytest.approx([3.0] * 9)
    losses = list(np.random.default_rng(0).uniform(size=30))
    assert smooth(losses[::-1]) == pytest.approx(smooth(losses)[::-1])
    assert smooth(losses, 0.0) == pytest.approx(losses)
    spike = [0.0] * 20 + [1.0] + [0.0] * 20
    assert smooth(spike).argmax() == 20


def test_the_rules_find_the_valley_and_its_steepest_side():
    found = suggest(RATES, valley())
    assert found.lowest_at == pytest.approx(1e-2) and found.lowest_loss == pytest.approx(1.0)
    assert found.rates["minimum_tenth"] == pytest.approx(1e-3)
    assert found.rates["steepest_descent"] == pytest.approx(1e-3, rel=0.1)
    assert found.remark == ""


def test_other_units_of_the_loss_suggest_the_same():
    assert suggest(RATES, 7 * valley() + 5).rates == suggest(RATES, valley()).rates


def test_a_loss_that_only_rises_or_only_falls_is_said_so():
    rising = suggest(RATES, RATES)
    assert rising.rates == {} and "falls nowhere" in rising.remark
    falling = suggest(RATES, valley(at=1.0))
    assert falling.rates["minimum_tenth"] == pytest.approx(0.1)
    assert "--highest_rate" in falling.remark


def test_what_is_a_divergence():
    assert not has_diverged(3.9, 1.0)
    assert has_diverged(4.1, 1.0)
    assert has_diverged(math.nan, 1.0) and has_diverged(math.inf, math.inf)
