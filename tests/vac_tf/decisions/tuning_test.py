"""Cross-fitting: folds, an honest gain, and bounds that hold."""

import numpy as np
import pytest

from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.objectives import parse_objective
from vac_tf.decisions.stratified_folds import stratified_folds
from vac_tf.decisions.tuning import TuningSettings, measure_by_cross_fitting, measure_rule, tune
from vac_tf.decisions.verdict import cross_fitted_verdict
from vac_tf.metrics.bootstrap import resample_counts
from vac_tf.metrics.multilabel import decision_metrics, evaluate_multilabel

OBJECTIVES = ("f1", "fbeta:2", "precision:0.6", "alarm_rate:0.2")


def settings(objective="f1", calibration="none", shrinkage=10.0, folds=4):
    parsed = parse_objective(objective) if objective else None
    return TuningSettings(parsed, calibration, shrinkage, 0.5, folds)


def examples(seed=0, count=400, num_labels=6, knowledge=1.5):
    generator = np.random.default_rng(seed)
    labels = generator.random((count, num_labels)) < np.geomspace(0.02, 0.5, num_labels)
    logits = knowledge * labels + generator.normal(size=labels.shape) - 2
    return labels.astype(np.float32), logits.astype(np.float32)


def paths(count):
    return [f"{number}.jpg" for number in range(count)]


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_spread_the_positives_of_every_label(folds):
    labels, _ = examples(count=300)
    found = stratified_folds(labels, paths(300), folds)
    sizes = np.bincount(found, minlength=folds)
    assert sizes.sum() == 300 and sizes.max() - sizes.min() <= 0.2 * 300 / folds
    per_fold = np.stack([labels[found == fold].sum(axis=0) for fold in range(folds)])
    # The rarest label is spread as evenly as whole images can be.
    rarest = np.argmin(labels.sum(axis=0))
    assert np.ptp(per_fold[:, rarest]) <= 1
    assert (np.ptp(per_fold, axis=0) <= 0.2 * labels.sum(axis=0) / folds + 3).all()


def test_folds_depend_on_the_seed_and_on_nothing_else():
    labels, _ = examples()
    first = stratified_folds(labels, paths(400), 5, seed=1)
    np.testing.assert_array_equal(first, stratified_folds(labels, paths(400), 5, seed=1))
    assert (first != stratified_folds(labels, paths(400), 5, seed=2)).any()


def test_boxes_of_one_image_share_a_fold():
    labels, _ = examples(count=90)
    images = [f"{number // 3}.jpg" for number in range(90)]
    found = stratified_folds(labels, images, 5).reshape(30, 3)
    assert (found == found[:, :1]).all()


def test_no_fold_is_empty():
    for labels in (np.ones((5, 2)), np.zeros((5, 2)), np.eye(5), np.full((5, 1), np.nan)):
        assert sorted(stratified_folds(labels, paths(5), 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("folds", [1, 6])
def test_impossible_folds_are_refused(folds):
    with pytest.raises(ValueError, match=f"{folds} folds of 5 images .* Expected at least 2"):
        stratified_folds(np.ones((5, 1)), paths(5), folds)


def test_cross_fitting_equals_the_slow_loop():
    labels, logits = examples()
    labels[np.random.default_rng(1).random(labels.shape) < 0.1] = np.nan
    how = settings(calibration="platt")
    decided = np.zeros(labels.shape, bool)
    folds = stratified_folds(labels, paths(400), 4)
    for row in range(400):
        others = folds != folds[row]
        if row == np.flatnonzero(folds == folds[row])[0]:
            rule = tune(labels[others], logits[others], how)
            rows = folds == folds[row]
            decided[rows] = rule.calibration.probabilities(logits[rows]) > rule.thresholds.values
    found = measure_by_cross_fitting(labels, logits, paths(400), how)
    assert found["comparison"]["tuned"] == decision_metrics(labels, decided)
    assert found["folds"] == 4
    positives = np.sum(labels == 1, axis=0).tolist()
    assert [label["positives"] for label in found["labels"]] == positives


@pytest.mark.parametrize("calibration", ["none", "temperature", "platt"])
def test_the_oracle_bounds_the_mean_f1_of_every_other_rule(calibration):
    for seed in range(2):
        labels, logits = examples(seed)
        how = settings(calibration=calibration)
        rows = measure_by_cross_fitting(labels, logits, paths(400), how)["comparison"]
        assert list(rows) == ["fixed", "global", "tuned", "judged", "oracle"]
        for row in rows.values():
            assert row["F1-C"] <= rows["oracle"]["F1-C"] + 1e-12


def test_the_oracle_bounds_rules_of_calibrated_logits_that_saturate():
    """Probabilities of logits above 17 are 1 in float32; a calibration tells them apart."""
    generator = np.random.default_rng(0)
    labels = (generator.random((400, 3)) < 0.4).astype(np.float32)
    logits = (22 + 3 * (labels - 0.5) + generator.normal(size=labels.shape)).astype(np.float32)
    rule = tune(labels, logits, settings(calibration="platt"))
    measured = measure_rule(
        labels, logits, rule.calibration, rule.thresholds.values, parse_objective("f1"), 0.5
    )["comparison"]
    assert measured["tuned"]["F1-C"] > measured["fixed"]["F1-C"] + 0.1
    assert measured["oracle"]["F1-C"] >= measured["tuned"]["F1-C"]


def test_tuning_pays_where_the_network_is_shifted_and_the_gain_is_honest():
    """On noise the oracle finds a gain, cross-fitting must not."""
    labels, logits = examples(count=2000)
    rows = measure_by_cross_fitting(labels, logits, paths(2000), settings())["comparison"]
    assert rows["tuned"]["F1-C"] > rows["fixed"]["F1-C"] + 0.05
    fresh_labels, fresh_logits = examples(seed=9, count=20_000)
    rule = tune(labels, logits, settings())
    fresh = measure_rule(
        fresh_labels,
        fresh_logits,
        rule.calibration,
        rule.thresholds.values,
        parse_objective("f1"),
        0.5,
    )["comparison"]
    assert rows["tuned"]["F1-C"] == pytest.approx(fresh["tuned"]["F1-C"], abs=0.03)

    labels, logits = examples(count=300, knowledge=0.0)
    noise = measure_by_cross_fitting(labels, logits, paths(300), settings())["comparison"]
    always = decision_metrics(labels, np.ones(labels.shape, bool))
    assert noise["oracle"]["F1-C"] > always["F1-C"]
    assert noise["tuned"]["F1-C"] < noise["oracle"]["F1-C"] - 0.01


def test_labels_are_tuned_where_it_surely_pays_and_kept_where_it_does_not():
    labels, logits = examples(count=2000)
    logits[:, 5] = np.random.default_rng(2).normal(size=2000) - 2  # Noise: all are best decided.
    found = measure_by_cross_fitting(labels, logits, paths(2000), settings())
    verdict, rows = found["verdict"], found["comparison"]
    assert verdict.refused is None
    assert "would be decided on" in verdict.reasons[5]
    assert not verdict.kept[4] and verdict.gains[4].is_sure
    assert rows["judged"]["F1-O"] > rows["fixed"]["F1-O"]
    assert rows["judged"]["alarm_rate"] < rows["tuned"]["alarm_rate"]


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_of_few_images_do_not_wreck_decisions(seed):
    """As reported: 38 images of 56 labels, of which the scores say little."""
    labels, logits = examples(seed, count=38, num_labels=56, knowledge=0.3)
    rows = measure_by_cross_fitting(labels, logits, paths(38), settings())["comparison"]
    assert rows["tuned"]["alarm_rate"] > 0.3
    assert rows["judged"]["alarm_rate"] < 2 * max(rows["fixed"]["alarm_rate"], labels.mean())


def test_the_interval_of_a_gain_equals_the_slow_bootstrap():
    labels, logits = examples(count=60, num_labels=2)
    labels[:9, 0] = np.nan
    images = np.arange(60) // 2  # Two boxes an image.
    fixed, tuned = logits > 0, logits > -1
    verdict, _ = cross_fitted_verdict(
        labels, fixed, tuned, images % 2, images, parse_objective("f1")
    )
    counts = np.concatenate(list(resample_counts(30, 1000, 0)), axis=1)
    draws = []
    for times in counts.T.astype(int):
        rows = np.concatenate([np.repeat(np.flatnonzero(images == i), times[i]) for i in range(30)])
        known = rows[~np.isnan(labels[rows, 0])]
        truth = labels[known, 0]
        before, after = (
            2 * np.sum(truth * chosen[known, 0]) / max(np.sum(truth) + np.sum(chosen[known, 0]), 1)
            for chosen in (fixed, tuned)
        )
        draws.append(after - before)
    expected = np.percentile(draws, [2.5, 97.5])
    np.testing.assert_allclose(verdict.gains[0].interval, expected, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_reports_its_own_measure(objective):
    labels, logits = examples()
    found = measure_by_cross_fitting(labels, logits, paths(400), settings(objective))
    own = {"fbeta:2": "F2-C", "precision:0.6": "labels_below_floor"}
    own["alarm_rate:0.2"] = "largest_alarm_rate"
    for row in found["comparison"].values():
        assert (own.get(objective) in row) == (objective != "f1")
    assert "calibration" not in found
    if objective == "precision:0.6":
        assert found["comparison"]["oracle"]["labels_below_floor"] == 0
    if objective == "alarm_rate:0.2":
        assert found["comparison"]["oracle"]["largest_alarm_rate"] <= 0.2


def test_calibration_alone_leaves_the_threshold_where_it_is():
    labels, logits = examples()
    how = settings(objective=None, calibration="temperature")
    rule = tune(labels, logits, how)
    assert (rule.thresholds.values == 0.5).all()
    found = measure_by_cross_fitting(labels, logits, paths(400), how)
    # A temperature moves no probability across 0.5.
    assert found["comparison"]["tuned"] == found["comparison"]["fixed"]
    assert found["calibration"]["after"]["NLL"] < found["calibration"]["before"]["NLL"]


def test_decision_metrics_are_those_of_the_evaluation():
    labels, logits = examples()
    labels[np.random.default_rng(1).random(labels.shape) < 0.1] = np.nan
    probabilities = Calibration.identity(6).probabilities(logits)
    found = decision_metrics(labels, probabilities > np.float32(0.5))
    evaluation = evaluate_multilabel(labels, probabilities)
    expected = evaluation["label_based"] | evaluation["example_based"]
    del expected["mAP"]
    alarms = np.mean((probabilities > 0.5)[~np.isnan(labels)])
    assert found == {**expected, "alarm_rate": pytest.approx(alarms)}


@pytest.mark.parametrize("value, has_oracle", [(0.0, False), (np.nan, False), (1.0, True)])
def test_without_a_positive_there_is_no_best_rule(value, has_oracle):
    labels, logits = np.full((6, 2), value), np.zeros((6, 2), np.float32)
    calibration = Calibration.identity(2, ())
    objective = parse_objective("f1")
    found = measure_rule(labels, logits, calibration, np.full(2, 0.5), objective, 0.5)
    assert ("oracle" in found["comparison"]) == has_oracle
