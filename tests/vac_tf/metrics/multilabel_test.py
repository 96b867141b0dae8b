"""Multi-label metrics: against scikit-learn, slow loops, hand-worked cases, and properties."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import sklearn.metrics

from vac_tf.evaluation.classification_table import format_table
from vac_tf.metrics.multilabel import average_precision, evaluate_logits, evaluate_multilabel

GROUPS = ("label_based", "top3", "top3_thresholded", "example_based")


def random_case(seed):
    """Labels with unknowns, empty labels and empty images, and scores with ties, also at 0.5."""
    random = np.random.default_rng(seed)
    shape = (random.integers(1, 25), random.integers(1, 7))
    ratios = random.choice([0.0, 0.1, 0.4, 1.0], size=shape[1])
    labels = (random.random(shape) < ratios).astype(np.float32)
    labels[random.random(shape) < random.choice([0.0, 0.0, 0.3])] = np.nan
    levels = random.choice([2, 10, 100_000])
    return labels, random.integers(0, levels + 1, shape) / levels


def slow_metrics(labels, scores, unknown, threshold=0.5):
    """Every metric but AP by loops over Python numbers; undefined values are None."""
    num_images, num_labels = labels.shape
    cells = {}
    for image in range(num_images):
        top = sorted(range(num_labels), key=lambda label: (-scores[image, label], label))[:3]
        for label in range(num_labels):
            value = labels[image, label]
            if np.isnan(value):
                if unknown == "ignore":
                    continue
                value = 0
            above = bool(np.float32(scores[image, label]) > threshold)
            cells[image, label] = (int(value), above, label in top, label in top and above)
    all_labels = _slow_label_based(cells, num_labels, 1)
    return {
        "label_based": {"mA": _slow_mean_accuracy(cells, num_labels), **all_labels},
        "top3": _slow_label_based(cells, num_labels, 2),
        "top3_thresholded": _slow_label_based(cells, num_labels, 3),
        "example_based": _slow_example_based(cells, num_images),
    }


def _mean(values):
    return sum(values) / len(values) if values else None


def _f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _slow_precision_recall(cells):
    hits = sum(cell[0] and cell[1] for cell in cells)
    predicted, positives = sum(cell[1] for cell in cells), sum(cell[0] for cell in cells)
    return hits / predicted if predicted else 0.0, hits / positives if positives else 0.0


def _slow_label_based(cells, num_labels, which):
    pairs = {key: (cell[0], cell[which]) for key, cell in cells.items()}
    per_label = []
    for label in range(num_labels):
        column = [pair for (_, index), pair in pairs.items() if index == label]
        if any(value for value, _ in column):
            per_label.append(_slow_precision_recall(column))
    if not per_label:
        return dict.fromkeys(("F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O"))
    precision, recall = (_mean([pair[side] for pair in per_label]) for side in (0, 1))
    overall = _slow_precision_recall(pairs.values())
    return {
        "F1-C": _mean([_f1(*pair) for pair in per_label]),
        "P-C": precision,
        "R-C": recall,
        "CF1": _f1(precision, recall),
        "F1-O": _f1(*overall),
        "P-O": overall[0],
        "R-O": overall[1],
    }


def _slow_mean_accuracy(cells, num_labels):
    accuracies = []
    for label in range(num_labels):
        column = [cell for (_, index), cell in cells.items() if index == label]
        on_positives = [cell[1] for cell in column if cell[0]]
        on_negatives = [not cell[1] for cell in column if not cell[0]]
        if on_positives and on_negatives:
            accuracies.append((_mean(on_positives) + _mean(on_negatives)) / 2)
    return _mean(accuracies)


def _slow_example_based(cells, num_images):
    accuracies, precisions, recalls, f1 = [], [], [], []
    for image in range(num_images):
        row = [cell for (index, _), cell in cells.items() if index == image]
        if not row:
            continue
        either = sum(cell[0] or cell[1] for cell in row)
        accuracies.append(sum(cell[0] and cell[1] for cell in row) / either if either else 0.0)
        precision, recall = _slow_precision_recall(row)
        precisions.append(precision)
        recalls.append(recall)
        f1.append(_f1(precision, recall))
    precision, recall = _mean(precisions), _mean(recalls)
    return {
        "Acc": _mean(accuracies),
        "Prec": precision,
        "Recall": recall,
        "F1": None if precision is None else _f1(precision, recall),
        "F1-mean": _mean(f1),
    }


@pytest.mark.parametrize("unknown", ["ignore", "negative", "release"])
def test_equals_slow_loops_on_random_cases(unknown):
    for seed in range(300):
        labels, scores = random_case(seed)
        evaluation = evaluate_multilabel(labels, scores, unknown=unknown)
        for group, values in slow_metrics(labels, scores, unknown).items():
            ours = {name: evaluation[group][name] for name in values}
            assert ours == pytest.approx(values, abs=1e-12), (seed, group)


def test_equals_scikit_learn_on_100_cases():
    compared = 0
    for seed in range(100):
        labels, scores = random_case(seed)
        evaluation = evaluate_multilabel(labels, scores)
        for index, ours in enumerate(evaluation["per_label"]):
            known = ~np.isnan(labels[:, index])
            truth, score = labels[known, index], scores[known, index]
            assert ours["positives"] == np.sum(truth)
            assert ours["unknown"] == np.sum(~known)
            if not truth.any():
                assert (ours["AP"], ours["recall"], ours["F1"]) == (None, None, None)
                continue
            precision_recall_f1 = sklearn.metrics.precision_recall_fscore_support(
                truth, score > 0.5, average="binary", zero_division=0
            )
            theirs = dict(zip(("precision", "recall", "F1"), precision_recall_f1[:3], strict=True))
            theirs["AP"] = sklearn.metrics.average_precision_score(truth, score)
            assert {name: ours[name] for name in theirs} == pytest.approx(theirs), (seed, index)
            compared += 1
    assert compared > 100


@pytest.mark.parametrize("average, suffix", [("macro", "C"), ("micro", "O")])
def test_means_equal_scikit_learn(average, suffix):
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, (60, 9)), random.random((60, 9))
    theirs = sklearn.metrics.precision_recall_fscore_support(labels, scores > 0.5, average=average)
    group = evaluate_multilabel(labels, scores)["label_based"]
    ours = [group[f"{name}-{suffix}"] for name in ("P", "R", "F1")]
    assert ours == pytest.approx(theirs[:3])


def test_a_case_worked_by_hand():
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    scores = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.4], [0.1, 0.3, 0.5]])
    evaluation = evaluate_multilabel(labels, scores, ["cat", "dog", "cow"])
    assert evaluation["label_based"] == pytest.approx(
        {
            "mAP": (1 + 1) / 2,
            "mA": (3 / 4 + 3 / 4) / 2,
            "F1-C": (2 / 3 + 2 / 3) / 2,
            "P-C": (1 + 1 / 2) / 2,
            "R-C": (1 / 2 + 1) / 2,
            "CF1": 3 / 4,
            "F1-O": 2 / 3,
            "P-O": 2 / 3,
            "R-O": 2 / 3,
        }
    )
    assert evaluation["example_based"] == pytest.approx(
        {
            "Acc": (1 / 2 + 1 / 2 + 0) / 3,
            "Prec": (1 / 2 + 1 + 0) / 3,
            "Recall": (1 + 1 / 2 + 0) / 3,
            "F1": 1 / 2,
            "F1-mean": (2 / 3 + 2 / 3 + 0) / 3,
        }
    )
    assert evaluation["conventions"]["labels_without_positives"] == ["cow"]
    assert evaluation["conventions"]["num_labels_without_positives"] == 1
    assert evaluation["conventions"]["images_with_neither_predictions_nor_positives"] == 1


def test_f1_c_and_cf1_are_different_quantities():
    labels = np.array([[1, 1], [1, 0], [1, 0], [0, 0]])
    scores = np.array([[0.9, 0.9], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    group = evaluate_multilabel(labels, scores)["label_based"]
    assert group["F1-C"] == pytest.approx((1 / 2 + 2 / 5) / 2)
    assert group["CF1"] == pytest.approx(2 * (5 / 8) * (2 / 3) / (5 / 8 + 2 / 3))


def test_a_probability_of_one_half_is_not_predicted_and_float64_is_rounded_first():
    scores = np.array([[0.5, 0.5 + 1e-12, np.nextafter(np.float32(0.5), np.float32(1))]])
    per_label = evaluate_multilabel(np.ones((1, 3)), scores)["per_label"]
    assert [label["recall"] for label in per_label] == [0, 0, 1]


def test_top3_takes_low_scores_and_breaks_ties_by_index():
    labels = np.array([[0, 0, 1, 1, 1]])
    scores = np.array([[0.1, 0.3, 0.3, 0.3, 0.9]])
    evaluation = evaluate_multilabel(labels, scores)
    assert evaluation["top3"]["P-O"] == pytest.approx(2 / 3)  # labels 4, 1 and 2
    assert evaluation["top3"]["R-O"] == pytest.approx(2 / 3)
    assert evaluation["top3_thresholded"]["P-O"] == 1  # label 4
    assert evaluation["top3_thresholded"]["R-O"] == pytest.approx(1 / 3)


def test_a_table_of_saturated_probabilities_is_warned_of(caplog):
    labels = np.float32([[0, 1], [1, 0], [0, 0]])
    probabilities = 1 / (1 + np.exp(-np.float64([[18, 2], [20, 2], [-2, -2]])))
    evaluate_multilabel(labels, probabilities, ["cat", "dog"])
    evaluate_multilabel(labels, [[0, 0.5], [1, 0.5], [0, 0]])  # Ties, but none is wrong.
    assert caplog.text == ""
    evaluation = evaluate_multilabel(labels, np.float32(probabilities), ["cat", "dog"])
    assert evaluation["per_label"][0]["AP"] == 0.5
    assert "order is lost" in caplog.text and "'cat'" in caplog.text
    assert "'dog'" not in caplog.text


def test_logits_rank_where_their_probabilities_are_equal():
    labels = np.float32([[0], [1], [0]])
    for low, high in ((18, 20), (38, 40)):  # The latter are equal in float64 too.
        evaluation = evaluate_logits(labels, np.float32([[low], [high], [-200]]))
        assert evaluation["label_based"]["mAP"] == 1.0
        assert evaluation["label_based"]["P-O"] == 0.5  # Both are decided.
    highest = evaluate_logits(np.float32([[0, 0, 1, 1, 1]]), np.float32([[18, 19, 20, 21, 22]]))
    assert highest["top3"]["P-O"] == 1.0


@pytest.mark.parametrize("num_labels", [1, 2, 3])
def test_top3_of_at_most_three_labels_predicts_all(num_labels):
    evaluation = evaluate_multilabel(np.ones((4, num_labels)), np.zeros((4, num_labels)))
    assert evaluation["top3"]["R-O"] == 1
    assert evaluation["top3_thresholded"]["R-O"] == 0


def test_ignored_cells_cannot_change_anything_label_wise():
    labels, scores = random_case(11)
    labels = np.where(np.random.default_rng(0).random(labels.shape) < 0.3, np.nan, labels)
    other_scores = np.where(np.isnan(labels), 1 - scores, scores)
    first, second = (evaluate_multilabel(labels, values) for values in (scores, other_scores))
    for group in ("label_based", "example_based", "per_label"):
        assert first[group] == second[group]
    assert np.isnan(labels).any() and not np.array_equal(scores, other_scores)


def test_release_differs_from_negative_in_average_precision_only():
    random = np.random.default_rng(5)
    labels = random.choice([0, 1, np.nan], size=(80, 6), p=[0.5, 0.3, 0.2])
    scores = random.random(labels.shape)
    negative, release, ignore = (
        evaluate_multilabel(labels, scores, unknown=unknown)
        for unknown in ("negative", "release", "ignore")
    )
    assert release["label_based"]["mAP"] == ignore["label_based"]["mAP"]
    assert release["label_based"]["mAP"] > negative["label_based"]["mAP"]
    for group in GROUPS:
        without_map = [
            {name: value for name, value in evaluation[group].items() if name != "mAP"}
            for evaluation in (negative, release)
        ]
        assert without_map[0] == without_map[1]
    filled = evaluate_multilabel(np.nan_to_num(labels), scores)
    assert all(filled[group] == negative[group] for group in GROUPS)


def test_images_without_known_labels_leave_the_example_means():
    labels, scores = np.array([[1.0, 0.0], [np.nan, np.nan]]), np.array([[0.9, 0.1], [0.9, 0.9]])
    ignore = evaluate_multilabel(labels, scores)
    assert ignore["example_based"]["Acc"] == 1
    assert ignore["conventions"]["images_without_known_labels"] == 1
    negative = evaluate_multilabel(labels, scores, unknown="negative")
    assert negative["example_based"]["Acc"] == 0.5


def test_label_without_positives_leaves_every_macro_mean_but_not_the_micro_ones():
    random = np.random.default_rng(2)
    labels, scores = random.integers(0, 2, (30, 4)), random.random((30, 4))
    wide_labels = np.hstack([labels, np.zeros((30, 1))])
    wide_scores = np.hstack([scores, np.ones((30, 1))])
    narrow = evaluate_multilabel(labels, scores)["label_based"]
    wide = evaluate_multilabel(wide_labels, wide_scores)["label_based"]
    for name in ("mAP", "mA", "F1-C", "P-C", "R-C", "CF1", "R-O"):
        assert wide[name] == pytest.approx(narrow[name])
    assert wide["P-O"] < narrow["P-O"]


@pytest.mark.parametrize("labels", [np.zeros((3, 2)), np.full((3, 2), np.nan)])
def test_without_any_positive_the_values_are_none_and_json_takes_them(labels):
    evaluation = evaluate_multilabel(labels, np.full((3, 2), 0.7))
    assert set(evaluation["label_based"].values()) == {None}
    assert set(evaluation["top3"].values()) == {None}
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation


def test_every_value_is_a_plain_python_number():
    def leaves(node):
        if isinstance(node, dict):
            node = list(node.values())
        return [leaf for child in node for leaf in leaves(child)] if type(node) is list else [node]

    for seed in range(5):
        labels, scores = random_case(seed)
        evaluation = evaluate_multilabel(
            labels, scores.astype(np.float32), threshold=np.float32(0.5)
        )
        assert {type(leaf) for leaf in leaves(evaluation)} <= {float, int, str, type(None)}
        json.dumps(evaluation, allow_nan=False)


def test_map_is_the_mean_of_single_label_average_precisions():
    random = np.random.default_rng(4)
    labels, scores = random.integers(0, 2, (40, 5)), random.random((40, 5))
    for convention in ("step", "voc12", "voc07"):
        evaluation = evaluate_multilabel(labels, scores, average_precision=convention)
        single = [average_precision(labels[:, i], scores[:, i], convention) for i in range(5)]
        assert [label["AP"] for label in evaluation["per_label"]] == pytest.approx(single)
        assert evaluation["label_based"]["mAP"] == pytest.approx(np.mean(single))
        assert evaluation["conventions"]["average_precision"] == convention


GOOD = np.array([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"scores": GOOD[:1]}, r"shape \(2, 2\) and scores of shape \(1, 2\)"),
        ({"labels": GOOD[:0], "scores": GOOD[:0]}, "at least one image"),
        ({"labels": GOOD[0], "scores": GOOD[0]}, r"shape \(2,\) and"),
        ({"labels": GOOD[None], "scores": GOOD[None]}, r"shape \(1, 2, 2\) and"),
        ({"labels": GOOD + [[0, 0], [0, 2]]}, r"label of row 1, label 'b' \(column 1\) is 2"),
        (
            {"labels": -GOOD},
            r"label of row 0, label 'b' \(column 1\) is -1.*0, 1 or NaN.* 2 values",
        ),
        ({"scores": GOOD * 1.5}, "score of row 0, label 'b'.*1.5.*sigmoid"),
        ({"scores": GOOD - 0.5}, "score of row 0, label 'a'.*-0.5"),
        ({"scores": GOOD * np.nan}, "score of row 0, label 'a'.*nan"),
        ({"label_names": ["a"]}, "1 label names for arrays of 2 labels"),
        ({"label_names": ["a", "a"]}, "twice: a"),
        ({"unknown": "drop"}, "'drop'.*ignore, negative, release"),
        ({"average_precision": "coco"}, "'coco'.*step"),
        ({"threshold": 50}, "threshold is 50"),
        ({"ranking": GOOD[:1]}, r"ranking of shape \(1, 2\) for scores of shape \(2, 2\)"),
        ({"ranking": GOOD * np.nan}, "ranking at row 0, column 0 is NaN"),
    ],
)
def test_bad_input_is_named(arguments, message):
    arguments = {"labels": GOOD, "scores": GOOD, "label_names": ["a", "b"]} | arguments
    with pytest.raises(ValueError, match=message):
        evaluate_multilabel(**arguments)


def test_evaluates_the_size_of_coco_val_2014_in_seconds():
    random = np.random.default_rng(0)
    labels = (random.random((40_504, 80)) < 0.04).astype(np.float32)
    scores = random.random((40_504, 80), dtype=np.float32)
    start = time.process_time()
    evaluation = evaluate_multilabel(labels, scores)
    assert evaluation["conventions"]["images"] == 40_504
    # About 1 second on an idle core of 2024; the bound allows for a busy machine.
    assert time.process_time() - start < 6


def test_needs_no_tensorflow():
    program = (
        "import sys, vac_tf.metrics, vac_tf.evaluation.classification_table;"
        "import vac_tf.metrics.inconsistency;"
        "print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"


def test_table_shows_percent_best_and_worst_labels_and_what_was_left_out():
    random = np.random.default_rng(6)
    labels, scores = random.integers(0, 2, (50, 12)), random.random((50, 12))
    labels[:, 4] = 0
    names = [f"label {index}" for index in range(12)]
    evaluation = evaluate_multilabel(labels, scores, names)
    evaluation["inconsistency"] = {"hflip": {"raw": 12.5, "relative": None}}
    table = format_table(evaluation)
    header, values = (line.split() for line in table.splitlines()[:2])
    assert header == ["mAP", "mA", "F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O"]
    expected = [f"{100 * evaluation['label_based'][name]:.1f}" for name in header]
    assert values[2:] == expected
    listed = [line.split("  ")[0] for line in table.splitlines() if line.startswith("label ")]
    ranked = sorted(
        (label for label in evaluation["per_label"] if label["AP"] is not None),
        key=lambda label: -label["AP"],
    )
    assert listed == [label["name"] for label in ranked[:5] + ranked[-5:]]
    assert "hflip" in table and "12.5" in table
    assert "1 labels without positives" in table and table.endswith("label 4")


def test_table_of_few_labels_lists_none_twice_and_marks_undefined_values():
    table = format_table(evaluate_multilabel(np.eye(3), np.eye(3), ["cat", "dog", "cow"]))
    assert [table.count(name) for name in ("cat", "dog", "cow")] == [1, 1, 1]
    empty = format_table(evaluate_multilabel(np.zeros((2, 1)), np.zeros((2, 1))))
    assert empty.splitlines()[1].split()[2:] == ["-"] * 9


def test_a_label_without_positives_has_a_precision_and_neither_recall_nor_f1():
    scores = np.array([[0.9, 0.1], [0.2, 0.1]], np.float32)
    first, second = evaluate_multilabel(np.zeros((2, 2)), scores)["per_label"]
    for label in (first, second):
        assert label["precision"] == 0.0 and label["positives"] == 0
        assert label["recall"] is None and label["F1"] is None and label["AP"] is None
