"""Tuned thresholds against the slow, obvious search over all cuts, and what must hold of them."""

import math

import numpy as np
import pytest
from sklearn.metrics import fbeta_score

from vac_tf.decisions.objectives import NEVER, Objective, best_threshold, find_cuts, parse_objective
from vac_tf.decisions.thresholds import tune_thresholds

OBJECTIVES = ("f1", "fbeta:2", "fbeta:0.5", "precision:0.6", "alarm_rate:0.2")


def examples(seed, count=60, num_labels=5, ties=False):
    """Labels of several frequencies, and probabilities that know something of them."""
    generator = np.random.default_rng(seed)
    labels = generator.random((count, num_labels)) < np.linspace(0.1, 0.6, num_labels)
    labels[0] = True
    logits = 1.5 * labels + generator.normal(size=labels.shape) - 1
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    if ties:
        probabilities = np.round(probabilities, 1)
    return labels.astype(np.float32), probabilities


def slow_value(labels, decided, objective):
    """What the objective wants to be largest, or None for a forbidden choice."""
    hits, alarms = int((labels * decided).sum()), int(decided.sum())
    positives = int(labels.sum())
    if objective.kind == "alarm_rate":
        return alarms if alarms <= objective.value * len(labels) else None
    if objective.kind == "precision":
        return hits if alarms and hits >= objective.value * alarms else None
    weight = objective.value**2
    return (1 + weight) * hits / (alarms + weight * positives) if alarms + positives else 0.0


def slow_best(labels, probabilities, objective):
    """The best value of any threshold at all; the values just below each score make every cut."""
    candidates = [np.nextafter(p, np.float32(-1), dtype=np.float32) for p in probabilities]
    values = [
        slow_value(labels, probabilities > threshold, objective) for threshold in [*candidates, 1.0]
    ]
    return max((value for value in values if value is not None), default=None)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_slow_value_is_that_of_scikit_learn(beta):
    labels, probabilities = examples(0)
    for threshold in (0.1, 0.5, 0.9, 1.0):
        for truth, decided in zip(labels.T, probabilities.T > threshold, strict=True):
            expected = fbeta_score(truth, decided, beta=beta, zero_division=0)
            assert slow_value(truth, decided, Objective("fbeta", beta)) == pytest.approx(expected)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_best_cut_is_found(name, ties):
    objective = parse_objective(name)
    for seed in range(6):
        labels, probabilities = examples(seed, ties=ties)
        found = tune_thresholds(labels, probabilities, objective, shrinkage=0.0).values
        for label in range(labels.shape[1]):
            column = labels[:, label], probabilities[:, label]
            expected = slow_best(*column, objective)
            if expected is None:
                assert found[label] == NEVER
            else:
                decided = column[1] > found[label]
                assert slow_value(column[0], decided, objective) == pytest.approx(expected)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_decisions_depend_on_the_order_of_the_scores_alone(name):
    objective = parse_objective(name)
    labels, probabilities = examples(3)
    stretched = (probabilities.astype(np.float64) ** 3).astype(np.float32)
    decided = [
        scores > tune_thresholds(labels, scores, objective, shrinkage=0.0).values
        for scores in (probabilities, stretched)
    ]
    np.testing.assert_array_equal(*decided)


def test_a_threshold_lies_midway_between_two_scores():
    labels = np.float32([[1], [1], [0], [0]])
    probabilities = np.float32([[0.9], [0.7], [0.5], [0.1]])
    found = tune_thresholds(labels, probabilities, parse_objective("f1"), shrinkage=0.0).values
    assert found == pytest.approx([0.6])


def test_scores_that_are_neighbours_among_the_floats_are_still_divided():
    low = np.float32(0.7)
    for _ in range(50):
        high = np.nextafter(low, np.float32(1), dtype=np.float32)
        cuts = find_cuts(np.float32([1, 0]), np.array([high, low]))
        threshold = best_threshold(cuts, parse_objective("f1"))
        assert high > threshold and not low > threshold
        low = high


def test_cuts_at_0_and_1_can_be_made():
    """A probability of 0 is above no threshold; one of 1 is below none but 1."""
    cuts = find_cuts(np.float32([1, 0, 1]), np.float32([1.0, 0.0, 0.5]))
    assert cuts.alarms.tolist() == [0, 1, 2]
    assert cuts.hits.tolist() == [0, 1, 2]
    for threshold, alarms in zip(cuts.thresholds, cuts.alarms, strict=True):
        assert (np.float32([1.0, 0.0, 0.5]) > threshold).sum() == alarms


@pytest.mark.parametrize("name", OBJECTIVES)
def test_unknown_labels_are_as_though_the_image_were_not_there(name):
    objective = parse_objective(name)
    labels, probabilities = examples(1)
    unknown = np.random.default_rng(0).random(labels.shape) < 0.3
    unknown[0] = False
    masked = np.where(unknown, np.nan, labels).astype(np.float32)
    found = tune_thresholds(masked, probabilities, objective, shrinkage=0.0)
    for label in range(labels.shape[1]):
        rows = ~unknown[:, label]
        alone = tune_thresholds(
            labels[rows, label : label + 1], probabilities[rows, label : label + 1], objective, 0.0
        )
        assert found.values[label] == alone.values[0]


@pytest.mark.parametrize("shrinkage", [0.0, 10.0, 1000.0])
def test_the_precision_floor_is_kept_however_much_is_shrunk(shrinkage):
    for seed in range(8):
        labels, probabilities = examples(seed)
        for floor in (0.4, 0.7, 0.95):
            found = tune_thresholds(labels, probabilities, Objective("precision", floor), shrinkage)
            decided = probabilities > found.values
            for label in np.flatnonzero(decided.any(axis=0)):
                assert labels[decided[:, label], label].mean() >= floor
            np.testing.assert_array_equal(found.never, ~decided.any(axis=0))


def test_a_label_that_reaches_the_precision_nowhere_is_never_decided():
    labels = np.float32([[0, 1], [0, 1], [1, 0], [0, 0]])
    probabilities = np.float32([[0.9, 0.9], [0.8, 0.8], [0.7, 0.4], [0.1, 0.1]])
    found = tune_thresholds(labels, probabilities, Objective("precision", 0.8), shrinkage=0.0)
    assert found.never.tolist() == [True, False]
    assert found.values[0] == NEVER and not (np.float32(1.0) > found.values[0])


def test_a_label_without_positives_raises_no_alarm_against_the_precision_floor():
    labels, probabilities = examples(4)
    labels[:, 1], labels[:, 3] = 0, 0
    probabilities[:, 3] = 0.0
    found = tune_thresholds(labels, probabilities, Objective("precision", 0.6), shrinkage=5.0)
    assert 0.0 < found.global_value < probabilities[:, 1].max()
    assert found.values[1] == NEVER and found.never[1] and not found.without_positives[1]
    assert found.values[3] == found.global_value and found.without_positives[3]


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.9])
def test_the_alarm_rate_is_reached_but_not_passed(rate):
    labels, probabilities = examples(5, count=200)
    for shrinkage in (0.0, 100.0):
        found = tune_thresholds(labels, probabilities, Objective("alarm_rate", rate), shrinkage)
        alarms = (probabilities > found.values).sum(axis=0)
        assert alarms.tolist() == [math.floor(200 * rate + 1e-9)] * 5


def test_shrinkage_draws_rare_labels_further():
    labels, probabilities = examples(2, count=400)
    labels[:, 0] = 0
    labels[:2, 0] = 1
    objective = parse_objective("f1")
    own = tune_thresholds(labels, probabilities, objective, shrinkage=0.0)
    drawn = tune_thresholds(labels, probabilities, objective, shrinkage=50.0)

    def logit(values):
        return np.log(values / (1 - values.astype(np.float64)))

    moved = (logit(drawn.values) - logit(own.values)) / (
        logit(own.global_value) - logit(own.values)
    )
    positives = labels.sum(axis=0)
    np.testing.assert_allclose(moved, 50 / (positives + 50), rtol=1e-3)
    assert np.argmax(moved) == 0
    much = tune_thresholds(labels, probabilities, objective, shrinkage=1e12)
    np.testing.assert_allclose(much.values, own.global_value, rtol=1e-5)


def test_a_label_without_positives_takes_the_global_threshold():
    labels, probabilities = examples(4)
    labels[:, 1], labels[:, 3] = 0, np.nan
    found = tune_thresholds(labels, probabilities, parse_objective("f1"), shrinkage=5.0)
    assert found.without_positives.tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(found.values[[1, 3]], found.global_value)
    others = tune_thresholds(
        labels[:, [0, 2, 4]], probabilities[:, [0, 2, 4]], parse_objective("f1"), shrinkage=5.0
    )
    assert found.global_value == others.global_value
    np.testing.assert_array_equal(found.values[[0, 2, 4]], others.values)
    with pytest.raises(ValueError, match="No label has a positive among these images"):
        tune_thresholds(np.zeros_like(labels), probabilities, parse_objective("f1"))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", ["f1", "fbeta:2"])
def test_the_global_threshold_has_the_largest_mean(name, ties):
    objective = parse_objective(name)
    for seed in range(4):
        labels, probabilities = examples(seed, ties=ties)

        def mean(threshold, labels=labels, probabilities=probabilities):
            decided = probabilities > threshold
            return np.mean(
                [slow_value(labels[:, k], decided[:, k], objective) for k in range(labels.shape[1])]
            )

        found = tune_thresholds(labels, probabilities, objective).global_value
        every = np.unique(probabilities)
        best = max(mean(np.nextafter(p, np.float32(-1), dtype=np.float32)) for p in every)
        assert mean(found) == pytest.approx(best)


@pytest.mark.parametrize("name", ["precision:0.6", "alarm_rate:0.2"])
def test_the_global_threshold_of_a_precision_or_a_rate_is_that_of_all_cells(name):
    labels, probabilities = examples(2)
    objective = parse_objective(name)
    pooled = find_cuts(labels.ravel(), probabilities.ravel())
    found = tune_thresholds(labels, probabilities, objective).global_value
    assert found == best_threshold(pooled, objective)


@pytest.mark.parametrize("text", ["f2", "fbeta", "fbeta:0", "fbeta:x", "precision:1.5", "recall:1"])
def test_unknown_objectives_list_the_known_ones(text):
    with pytest.raises(ValueError, match=f"{text}.*fbeta:BETA.*precision:FLOOR.*alarm_rate:RATE"):
        parse_objective(text)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_are_called_what_they_are_parsed_from(name):
    assert parse_objective(name).name == name


def test_objectives_measure_what_they_ask_for():
    labels = np.float32([[1, 0], [0, 0], [1, 1], [np.nan, 1]])
    decided = np.array([[1, 1], [1, 0], [1, 1], [1, 0]], bool)
    measured = [
        Objective(kind, value).measure(labels, decided)
        for kind, value in (("fbeta", 1), ("fbeta", 2), ("precision", 0.6), ("alarm_rate", 0.1))
    ]
    f2 = np.mean([5 * 2 / (4 * 2 + 3), 5 * 1 / (4 * 2 + 2)])
    assert measured[0] == {}
    assert measured[1] == {"F2-C": pytest.approx(f2)}
    assert measured[2] == {"labels_below_floor": 1}
    assert measured[3] == {"largest_alarm_rate": 1.0}


def test_a_single_positive_counts_in_the_mean_f2():
    labels = np.float32([[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    decided = np.array([[1, 1, 1], [0, 0, 0], [0, 0, 0]], bool)
    assert Objective("fbeta", 2.0).measure(labels, decided) == {
        "F2-C": pytest.approx(np.mean([1.0, 5 * 1 / (4 * 2 + 1)]))
    }
    assert Objective("fbeta", 2.0).measure(labels[:, 2:], decided[:, 2:]) == {"F2-C": None}


def test_unknown_labels_are_no_images_of_an_alarm_rate():
    labels = np.float32([[1, np.nan], [0, np.nan], [np.nan, np.nan], [0, np.nan]])
    decided = np.array([[1, 1], [0, 1], [1, 1], [0, 1]], bool)
    measured = Objective("alarm_rate", 0.5).measure(labels, decided)
    assert measured == {"largest_alarm_rate": pytest.approx(1 / 3)}


def test_a_precision_at_the_floor_is_not_below_it():
    labels, decided = np.float32([[1, 1], [0, 0], [0, 0]]), np.array([[1, 1], [1, 1], [0, 1]], bool)
    measure = Objective("precision", 0.5).measure
    assert measure(labels, decided) == {"labels_below_floor": 1}
    assert measure(labels, np.zeros_like(decided)) == {"labels_below_floor": 0}


@pytest.mark.parametrize(
    ("name", "positives", "most"),
    [
        ("f1", [0.0, 0.1, 0.25, 0.5, 1.0], [0.0, 0.4, 0.625, 0.75, 1.0]),
        ("fbeta:2", [0.01, 0.05, 0.5], [0.1, 0.5, 0.75]),
        ("precision:0.5", [0.01, 0.1, 0.5], [0.04, 0.4, 0.75]),
        ("alarm_rate:0.2", [0.0, 0.5], [1.0, 1.0]),
    ],
)
def test_alarms_are_limited_in_proportion_to_the_positives(name, positives, most):
    found = parse_objective(name).most_alarms(np.array(positives))
    np.testing.assert_allclose(found, most)


@pytest.mark.parametrize("text", ["precision:1", "alarm_rate:0.999", "fbeta:0.001", "f1"])
def test_objectives_at_the_ends_of_their_ranges_are_known(text):
    assert parse_objective(text).value > 0


@pytest.mark.parametrize(
    "text",
    ["precision:0", "precision:1.001", "alarm_rate:0", "alarm_rate:1", "fbeta:inf", "fbeta:-1"],
)
def test_objectives_beyond_the_ends_of_their_ranges_are_refused(text):
    with pytest.raises(ValueError, match="Unknown threshold_objective"):
        parse_objective(text)


@pytest.mark.parametrize(
    ("labels", "probabilities", "threshold"),
    [([1, 1, 1], [1e-45, 0, 0], 0.0), ([1, 0, 0], [0, 1, 1], 1.0)],
)
def test_a_threshold_without_a_logit_is_not_drawn(labels, probabilities, threshold):
    """A label whose best cut is at 0 or at 1, beside one that moves the global threshold."""
    labels = np.float32([labels, [1, 0, 0], [1, 0, 0]]).T
    probabilities = np.float32([probabilities, [0.9, 0.8, 0.7], [0.9, 0.8, 0.7]]).T
    with np.errstate(all="raise", under="ignore"):  # No logarithm of 0 is taken.
        found = tune_thresholds(labels, probabilities, parse_objective("f1"), shrinkage=5.0)
    assert found.values[0] == threshold and 0.0 < found.global_value < 1.0


def test_one_false_alarm_is_below_the_floor_and_a_label_without_any_is_not():
    labels, decided = np.zeros((3, 2), np.float32), np.zeros((3, 2), bool)
    decided[1, 0] = True
    assert Objective("precision", 0.5).measure(labels, decided) == {"labels_below_floor": 1}
