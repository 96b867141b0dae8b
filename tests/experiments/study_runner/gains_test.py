"""Who gains: labels by seeds in common, and images by their number of objects."""

import pytest

from experiments.study_runner.gains import gains_by_label, precision_by_objects


def result(seed, *precisions):
    labels = [
        {"name": name, "AP": precision, "positives": 5}
        for name, precision in zip("abc", precisions, strict=True)
    ]
    return {"seed": seed, "evaluation": {"per_label": labels}}


def test_gains_are_paired_by_seed_and_sorted():
    finished = {
        "one": [result(0, 0.2, 0.5, None), result(1, 0.4, 0.5, 0.1)],
        "two": [result(1, 0.3, 0.8, 0.2), result(0, 0.3, 0.9, 0.2), result(7, 1.0, 1.0, 1.0)],
        "other_seed": [result(9, 0.1, 0.1, 0.1)],
    }
    first, second = gains_by_label(["two", "other_seed"], "one", finished)
    assert (first["name"], second["name"]) == ("b", "a")  # c has none in one run.
    assert first["baseline"] == pytest.approx(0.5) and first["positives"] == 5
    assert list(first["gains"]) == ["two"]
    assert first["gains"]["two"]["mean"] == pytest.approx(0.35)
    assert second["gains"]["two"]["mean"] == pytest.approx(0.0)
    assert second["gains"]["two"]["deviation"] == pytest.approx(0.1 * 2**0.5)
    assert gains_by_label(["other_seed"], "one", finished) == []


def test_bins_of_objects_are_those_of_the_analysis():
    row = {"objects": "2 to 3", "images": 8, "labels": 3, "chance": 0.2, "mAP": {"run": 0.5}}
    assert precision_by_objects({"bins": [row]}) == [
        {"objects": "2 to 3", "images": 8, "chance": 0.2, "mAP": 0.5}
    ]
