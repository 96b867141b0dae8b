"""The comparison that refuses a precision: every figure, and every limit of a budget."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from export.building.gate.budget import BUDGETS, Budget, parse_budget, parse_precisions
from export.building.gate.drift import measure_drift, over_budget
from vac_tf.metrics.multilabel import evaluate_multilabel

NAMES = ("cat", "dog", "bird")
THRESHOLDS = np.float32([0.5, 0.3, 0.7])
GENERATOR = np.random.default_rng(0)
PROBABILITIES = GENERATOR.uniform(size=(40, 3)).astype(np.float32)
MAPS = GENERATOR.normal(size=(40, 4, 4, 3)).astype(np.float32)
LABELS = (PROBABILITIES > GENERATOR.uniform(size=(40, 3))).astype(np.float32)
EXPECTED = {"probabilities": PROBABILITIES, "heatmaps": MAPS, "logits": PROBABILITIES}
ANYTHING = Budget(1, 1, 1, 1, 1, 1, 1, 0)
NOTHING = Budget(0, 0, 0, 0, 0, 0, 0, 1)


def ranked_by(probabilities):
    """Outputs whose logits have the order of their probabilities, as those of every network."""
    return {"probabilities": probabilities, "logits": probabilities}


def measure(labels=LABELS, unknown="ignore", **changes):
    if "probabilities" in changes:
        changes = changes | ranked_by(changes["probabilities"])
    return measure_drift(EXPECTED, EXPECTED | changes, labels, NAMES, THRESHOLDS, unknown)


def test_equal_outputs_have_no_drift():
    figures = measure()
    assert over_budget(figures, dataclasses.replace(NOTHING, heatmaps=0.999999)) == []
    assert figures["probabilities"]["largest"] == figures["decisions"]["changed"] == 0.0
    assert json.loads(json.dumps(figures)) == figures


def test_without_a_positive_decision_no_share_of_them_is_told():
    figures = measure_drift(EXPECTED, EXPECTED, LABELS, NAMES, np.ones(3, "float32"), "ignore")
    assert figures["decisions"]["positive_changed"] is None


def test_decisions_use_the_threshold_of_each_label():
    moved = PROBABILITIES.copy()
    moved[0] = [0.51, 0.31, 0.71]
    expected = EXPECTED | {"probabilities": moved.copy()}
    moved[0] -= 0.02
    figures = measure_drift(
        expected, expected | {"probabilities": moved}, LABELS, NAMES, THRESHOLDS, "ignore"
    )
    assert figures["decisions"]["per_label"] == dict.fromkeys(NAMES, 1 / 40)
    positive = (expected["probabilities"] > THRESHOLDS).sum()
    assert figures["decisions"]["positive_changed"] == pytest.approx(3 / positive)
    assert figures["probabilities"]["largest"] == pytest.approx(0.02, abs=1e-6)


def test_metrics_are_those_of_the_evaluation():
    shuffled = GENERATOR.permutation(PROBABILITIES)
    labels = LABELS.copy()
    labels[:5, 1] = np.nan
    for policy in ("ignore", "negative", "release"):
        metrics = measure(labels, policy, probabilities=shuffled)["metrics"]
        for index, name in ((0, "keras"), (1, "exported")):
            scores = (PROBABILITIES, shuffled)[index]
            ranked = evaluate_multilabel(labels, scores, unknown=policy)["label_based"]
            decided = (scores > THRESHOLDS).astype(np.float32)
            decisions = evaluate_multilabel(labels, decided, unknown=policy)["label_based"]
            assert metrics["mAP"][name] == ranked["mAP"]
            for metric in ("mA", "F1-C", "F1-O"):
                assert metrics[metric][name] == pytest.approx(decisions[metric])


@pytest.mark.parametrize(
    ("limit", "changes", "sentence"),
    [
        ("probability", {"probabilities": PROBABILITIES * 0.9}, "label '"),
        ("mean_probability", {"probabilities": PROBABILITIES * 0.9}, "mean difference"),
        ("decisions", {"probabilities": 1 - PROBABILITIES}, "share of changed decisions (most"),
        ("label_decisions", {"probabilities": 1 - PROBABILITIES}, "decisions of label '"),
        ("mAP", {"probabilities": 1 - PROBABILITIES}, "loss of mAP"),
        ("mA", {"probabilities": 1 - PROBABILITIES}, "loss of mA "),
        ("F1", {"probabilities": 1 - PROBABILITIES}, "loss of F1-O"),
        ("heatmaps", {"heatmaps": MAPS + MAPS[::-1]}, "correlation of heatmaps of label '"),
    ],
)
def test_each_limit_refuses_on_its_own(limit, changes, sentence):
    figures = measure(**changes)
    assert over_budget(figures, ANYTHING) == []
    strict = dataclasses.replace(ANYTHING, **{limit: getattr(NOTHING, limit)})
    (failure,) = over_budget(figures, strict)
    assert sentence in failure


def test_the_worst_label_is_named():
    wrong = PROBABILITIES.copy()
    wrong[:, 2] = 1 - wrong[:, 2]
    failures = over_budget(measure(probabilities=wrong), BUDGETS["int8"])
    assert failures and all("'bird'" in text for text in failures if "label" in text)


def test_the_label_whose_ranking_is_lost_is_named_though_no_decision_changes():
    probabilities = PROBABILITIES * np.float32([1, 0.2, 1])  # No dog is decided.
    ranked = np.where(LABELS == 1, probabilities, probabilities / 2)
    shuffled = ranked.copy()
    shuffled[:, 1] = ranked[:, 1].max() - ranked[:, 1]
    figures, (failure,) = against(ranked, shuffled, dataclasses.replace(ANYTHING, mAP=0.0))
    assert figures["decisions"]["changed"] == 0.0
    assert failure.startswith("loss of mAP (label 'dog' loses most) is ")


def test_one_changed_decision_is_always_allowed():
    one = PROBABILITIES.copy()
    one[3, 1] = 1.0 if one[3, 1] <= 0.3 else 0.0
    strict = dataclasses.replace(ANYTHING, decisions=0.0, label_decisions=0.0)
    assert over_budget(measure(probabilities=one), strict) == []
    one[4, 1] = 1.0 if one[4, 1] <= 0.3 else 0.0
    assert len(over_budget(measure(probabilities=one), strict)) == 2


def against(expected, actual, budget):
    """What of the second probabilities is over a budget."""
    both = (EXPECTED | ranked_by(np.float32(values)) for values in (expected, actual))
    figures = measure_drift(*both, LABELS, NAMES, THRESHOLDS, "ignore", budget.ties)
    return figures, over_budget(figures, budget)


def test_ties_that_fall_otherwise_refuse_int8_but_not_float32():
    tied = np.full_like(PROBABILITIES, 0.1)
    pair = tied + 1e-6 * LABELS, tied - 1e-6 * LABELS
    figures, failures = against(*pair, BUDGETS["fp32"])
    assert figures["metrics"]["mAP"]["change"] < -0.1
    assert failures == []
    (failure,) = against(*pair, BUDGETS["int8"])[1]
    assert failure.startswith("loss of mAP")


def test_what_is_lost_beyond_ties_refuses_float32_within_its_tolerance():
    near = 0.1 + 1e-4 * PROBABILITIES
    figures, (failure,) = against(near, near[::-1], BUDGETS["fp32"])
    assert figures["probabilities"]["largest"] < BUDGETS["fp32"].probability
    assert failure.startswith("loss of mAP")


def test_the_worst_order_of_ties_is_that_of_a_slow_search():
    """Every order of tied images, over a label at a time."""
    labels = np.float32([[1], [0], [1], [0], [0], [1]])
    probabilities = np.float32([[0.5], [0.5], [0.5 + 4e-6], [0.5 - 4e-6], [0.7], [0.3]])
    tied = [0, 1, 2, 3]
    lowest = 1.0
    for order in itertools.permutations(tied):
        scores = probabilities.copy()
        scores[list(order), 0] = 0.5 + 1e-3 * np.arange(len(tied))
        values = evaluate_multilabel(labels, scores)["label_based"]["mAP"]
        lowest = min(lowest, values)
    outputs, perfect = ranked_by(probabilities), ranked_by(labels)
    figures = measure_drift(outputs, perfect, labels, ("cat",), THRESHOLDS[:1], "ignore", 1e-5)
    assert figures["metrics"]["mAP"]["loss"] == pytest.approx(lowest - 1.0)


def test_an_order_lost_among_saturated_probabilities_is_a_loss():
    logits = np.float32(18 + 2 * LABELS)
    right = {"probabilities": np.ones_like(logits), "logits": logits}
    wrong = right | {"logits": np.float32(20 - 2 * LABELS)}
    figures = measure_drift(right, wrong, LABELS, NAMES, THRESHOLDS, "ignore")
    assert figures["metrics"]["mAP"]["keras"] == 1.0
    assert figures["metrics"]["mAP"]["exported"] < 0.6
    assert any(text.startswith("loss of mAP") for text in over_budget(figures, BUDGETS["int8"]))


def test_a_gain_is_no_loss():
    perfect = np.clip(LABELS, 0.01, 0.99)
    strict = dataclasses.replace(ANYTHING, mAP=0.0, mA=0.0, F1=0.0)
    assert over_budget(measure(probabilities=perfect), strict) == []


def test_values_that_are_not_finite_are_counted_and_refused():
    broken = MAPS.copy()
    broken[0, 0, 0] = np.nan
    figures = measure(heatmaps=broken)
    assert over_budget(figures, ANYTHING) == ["3 values of heatmaps are not finite"]


def test_constant_maps_have_no_correlation():
    flat = {"heatmaps": np.zeros_like(MAPS)}
    figures = measure_drift(EXPECTED | flat, EXPECTED | flat, LABELS, NAMES, THRESHOLDS, "ignore")
    assert figures["heatmaps"]["heatmaps"]["lowest"] is None
    assert over_budget(figures, dataclasses.replace(ANYTHING, heatmaps=1.0)) == []
    assert measure(**flat)["heatmaps"]["heatmaps"]["lowest"] == 0.0


def test_labels_without_positives_leave_metrics_undefined_but_judged():
    figures = measure(np.zeros_like(LABELS), probabilities=1 - PROBABILITIES)
    assert figures["metrics"]["mAP"]["change"] is None
    assert over_budget(figures, ANYTHING) == []


def test_precisions_and_budgets_from_flags():
    assert parse_precisions("int8, fp32") == ("fp32", "int8")
    for text in ("int8", "fp32,fp8", ""):
        with pytest.raises(ValueError, match="Expected fp32, and any of: fp16, int8"):
            parse_precisions(text)
    assert parse_budget("int8", "") == BUDGETS["int8"]
    assert parse_budget("int8", "mAP:0.01, F1:0.1").mAP == 0.01
    with pytest.raises(ValueError, match="int8_budget: unknown limit 'map'. Known limits: prob"):
        parse_budget("int8", "map:0.01")
    with pytest.raises(ValueError, match="fp16_budget: expected name:number, got 'mAP'"):
        parse_budget("fp16", "mAP")
    with pytest.raises(ValueError, match="mAP of a budget must lie between 0 and 1, got 2.0"):
        parse_budget("fp16", "mAP:2")
