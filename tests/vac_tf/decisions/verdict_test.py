"""The verdict on tuned thresholds against slow loops, and at its edges."""

import numpy as np
import pytest

from vac_tf.decisions.objectives import Objective, fbeta
from vac_tf.decisions.verdict import (
    SAMPLES,
    Gain,
    Verdict,
    cross_fitted_verdict,
    decision_rates,
    too_many_alarms,
)
from vac_tf.metrics.bootstrap import resample_counts

F1, F2 = Objective("fbeta", 1.0), Objective("fbeta", 2.0)


def examples(seed=0, images=40, num_labels=4):
    """Labels (one unknown here and there, the last without positives), decisions and folds."""
    generator = np.random.default_rng(seed)
    labels = (generator.random((images, num_labels)) < 0.4).astype(np.float32)
    labels[:, -1] = 0
    labels[generator.random(labels.shape) < 0.1] = np.nan
    fixed = (labels == 1) ^ (generator.random(labels.shape) < 0.35)
    tuned = (labels == 1) ^ (generator.random(labels.shape) < np.linspace(0.02, 0.5, num_labels))
    return labels, fixed, tuned, np.arange(images) % 3, np.arange(images) // 2


def slow_f(labels, decided, weights, beta):
    """F-beta of each label, and of all together, of rows that count so often."""
    known = ~np.isnan(labels)
    hits = (weights[:, None] * (decided & (labels == 1))).sum(axis=0)
    alarms = (weights[:, None] * (decided & known)).sum(axis=0)
    positives = (weights[:, None] * (labels == 1)).sum(axis=0)

    def f(hits, alarms, positives):
        below = beta**2 * positives + alarms
        return (1 + beta**2) * hits / below if below else 0.0

    each = [f(*counts) for counts in zip(hits, alarms, positives, strict=True)]
    return np.array(each), f(hits.sum(), alarms.sum(), positives.sum())


@pytest.mark.parametrize("objective", [F1, F2])
def test_gains_over_labels_and_over_all_decisions_equal_the_slow_bootstrap(objective):
    labels, fixed, tuned, folds, images = examples()
    verdict, judged = cross_fitted_verdict(labels, fixed, tuned, folds, images, objective, 5)
    counted, ones = (labels == 1).any(axis=0), np.ones(len(labels))
    assert counted.tolist() == [True, True, True, False]

    def gains(weights):
        before, all_before = slow_f(labels, fixed, weights, objective.value)
        after, all_after = slow_f(labels, judged, weights, objective.value)
        return (after - before)[counted].mean(), all_after - all_before

    drawn = np.concatenate(list(resample_counts(len(set(images)), SAMPLES, 5)), axis=1)
    draws = np.array([gains(column[images]) for column in drawn.T])
    for place, name in enumerate("CO"):
        found = verdict.overall[name]
        assert found.value == pytest.approx(gains(ones)[place], abs=1e-9)
        low, high = np.percentile(draws[:, place], (2.5, 97.5))
        assert found.interval == pytest.approx((low, high), abs=1e-5)


def test_every_fold_is_judged_by_the_others():
    labels, fixed, tuned, folds, images = examples(1, images=120)
    _, judged = cross_fitted_verdict(labels, fixed, tuned, folds, images, F1)
    kept_somewhere = np.zeros(labels.shape[1], bool)
    for fold in range(3):
        out = folds != fold
        others, _ = cross_fitted_verdict(
            labels[out], fixed[out], tuned[out], folds[out], images[out], F1
        )
        kept = np.array([reason is not None for reason in others.reasons])
        kept_somewhere |= kept
        expected = np.where(kept, fixed[~out], tuned[~out])
        np.testing.assert_array_equal(judged[~out], expected)
    assert kept_somewhere.any() and not kept_somewhere.all()


def test_a_label_without_positives_and_one_without_gain_keep_the_fixed_threshold():
    labels, fixed, tuned, folds, images = examples(2, images=120)
    tuned[:, [1, 3]] = fixed[:, [1, 3]]
    verdict, _ = cross_fitted_verdict(labels, fixed, tuned, folds, images, F1)
    assert verdict.reasons[0] is None and verdict.gains[0].is_sure
    assert verdict.reasons[1] == "no sure gain of F: +0.0 points [+0.0, +0.0]"
    assert verdict.reasons[3] == "no positive to tune on" and verdict.gains[3] is None
    assert verdict.refused is None and verdict.kept.tolist()[:2] == [False, True]


def test_nothing_gained_refuses_all_but_a_demand_has_no_gain():
    labels, fixed, tuned, folds, images = examples(3, images=120)
    same, _ = cross_fitted_verdict(labels, fixed, fixed, folds, images, F2)
    assert same.refused.startswith("F2-C gains +0.0 points") and same.kept.all()
    demand = Objective("precision", 0.5)
    verdict, judged = cross_fitted_verdict(labels, fixed, fixed, folds, images, demand)
    assert verdict.overall == {} and verdict.gains == (None,) * 4 and verdict.refused is None
    np.testing.assert_array_equal(judged, fixed)


def test_alarms_are_judged_by_the_limit_and_by_what_was_before():
    labels = np.zeros((10, 4), np.float32)
    labels[0] = 1
    labels[5:, 3] = np.nan
    decided = np.zeros((4, 10, 4), bool)
    fixed, few, many, all_known = decided
    few[:4], many[:5], all_known[:5] = True, True, True
    # A tenth has it: at most four tenths. Of the last label a fifth, and at most six tenths.
    assert too_many_alarms(labels, fixed, few, F1)[:3] == (None,) * 3
    found = too_many_alarms(labels, fixed, many, F1)
    assert found[0] == "would be decided on 50.0% of the images, 10.0% have it"
    assert found[3] == "would be decided on 100.0% of the images, 20.0% have it"
    assert too_many_alarms(labels, many, many, F1) == (None,) * 4


def test_rates_are_of_known_labels_and_undefined_without_any():
    labels = np.float32([[1, 0, np.nan], [1, 0, np.nan], [0, np.nan, np.nan], [np.nan, 0, np.nan]])
    decided = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [1, 0, 1]], bool)
    first, second, third = decision_rates(labels, decided)
    assert first == {"alarm_rate": pytest.approx(2 / 3), "precision": 0.5, "recall": 0.5}
    assert second == {"alarm_rate": 0.0, "precision": None, "recall": None}
    assert third == {"alarm_rate": None, "precision": None, "recall": None}


def test_a_gain_is_sure_when_its_interval_lies_above_nothing():
    assert Gain(0.02, (1e-9, 0.04)).is_sure
    assert not Gain(0.02, (0.0, 0.04)).is_sure and not Gain(0.02, (-0.01, 0.04)).is_sure
    assert str(Gain(0.0234, (-0.01, 0.05))) == "+2.3 points [-1.0, +5.0]"
    assert Gain(0.5, (0.25, 1.0)).to_json() == {"value": 0.5, "interval": [0.25, 1.0]}


def test_further_reasons_stand_where_there_is_none_yet():
    verdict = Verdict(None, ("own", None, None), (None,) * 3, {})
    more = verdict.with_reasons(("other", "other", None))
    assert more.reasons == ("own", "other", None) and more.refused is None
    assert more.kept.tolist() == [True, True, False]
    every = verdict.with_reasons((None, "other", "other"))
    assert every.refused == "every label keeps it" and every.kept.all()
    refused = Verdict("why", (None,), (None,), {}).with_reasons(("other",))
    assert refused.refused == "why"
    assert Verdict("why", (None, None), (None,) * 2, {}).kept.all()


def test_a_sure_loss_over_all_decisions_refuses_what_the_mean_over_labels_gains():
    """A rare label gains by many false alarms, which weigh on a frequent one that is perfect."""
    labels = np.zeros((2000, 2), np.float32)
    labels[:100, 0] = labels[::2, 1] = 1
    fixed, tuned = labels == 1, labels == 1
    fixed[25:, 0] = False
    tuned[:250, 0] = True
    numbers = np.arange(2000)
    verdict, judged = cross_fitted_verdict(labels, fixed, tuned, numbers % 3, numbers, F1)
    np.testing.assert_array_equal(judged[:, 0], tuned[:, 0])
    assert verdict.reasons[0] is None and verdict.overall["C"].is_sure
    assert verdict.refused.startswith("F1-O changes by -2.") and verdict.kept.all()


def test_f_beta_weighs_recall_and_is_0_where_nothing_is():
    assert fbeta(3, 4, 6, 2.0) == pytest.approx(5 * 3 / (4 * 6 + 4))
    assert fbeta(0, 0, 0, 1.0) == 0.0
    assert fbeta(np.array([1, 0]), np.array([1, 0]), np.array([1, 1]), 1.0).tolist() == [1.0, 0.0]
