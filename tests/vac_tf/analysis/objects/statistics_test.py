"""Statistics of the table of objects equal scipy's own and their formulas."""

import json

import numpy as np
import pyarrow.parquet
import pytest
from scipy import stats

from vac_tf.analysis.correlation import correlate
from vac_tf.analysis.objects.statistics import (
    class_correlations,
    class_means,
    cohens_d,
    found_against_missed,
    found_against_missed_by_class,
)
from vac_tf.analysis.objects.table import object_table, write_object_table
from vac_tf.datasets import read_split

NAMES = ("a", "b", "c", "d", "e")


def random_table(seed=0, count=200):
    generator = np.random.default_rng(seed)
    found = generator.random(count) < 0.6
    true_saliency = generator.random(count)
    true_saliency[generator.random(count) < 0.2] = np.nan
    left_out = np.array([""] * count, object)
    left_out[:7], left_out[7:9] = "crowd", "no pixels"
    return {
        "label": generator.integers(0, len(NAMES), count),
        "size": generator.random(count) ** 2 + 0.1 * found,
        "distance": generator.random(count) - 0.2 * found,
        "true_saliency": true_saliency,
        "found": found,
        "left_out": left_out,
    }


def row(table, index):
    return {name: column[index : index + 1] for name, column in table.items()}


def joined(*tables):
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def test_the_tests_equal_scipy_on_the_table():
    table = random_table()
    result = found_against_missed(table)
    used = table["left_out"] == ""
    assert result["objects"]["used"] == used.sum() == 191
    assert (result["objects"]["crowds_left_out"], result["objects"]["left_out_without_pixels"]) == (
        7,
        2,
    )
    assert set(result["quantities"]) == {"size", "distance", "true_saliency"}
    for name, values in result["quantities"].items():
        has_value = used & ~np.isnan(table[name])
        found = table[name][has_value & table["found"]]
        missed = table[name][has_value & ~table["found"]]
        for key, equal in (("t_test", True), ("welch_t_test", False)):
            expected = stats.ttest_ind(found, missed, equal_var=equal)
            assert values[key]["t"] == expected.statistic
            assert values[key]["p_value"] == expected.pvalue
        assert values["found"]["count"] + values["missed"]["count"] == has_value.sum()
        assert values["without_value"] == (used & ~has_value).sum()
        assert values["missed"]["standard_error"] == pytest.approx(
            np.std(missed, ddof=1) / np.sqrt(len(missed)), rel=1e-12
        )
        assert values["effect_size"] == cohens_d(found, missed)
    json.dumps(result, allow_nan=False)


def test_effect_size_is_its_formula_and_that_of_t():
    generator = np.random.default_rng(1)
    first, second = generator.normal(1, 2, 30), generator.normal(0, 3, 50)
    pooled = (29 * np.var(first, ddof=1) + 49 * np.var(second, ddof=1)) / 78
    expected = (first.mean() - second.mean()) / np.sqrt(pooled)
    assert cohens_d(first, second) == pytest.approx(expected, rel=1e-12)
    t = stats.ttest_ind(first, second).statistic
    assert expected == pytest.approx(t * np.sqrt(1 / 30 + 1 / 50), rel=1e-12)
    assert cohens_d(10 * first + 5, 10 * second + 5) == pytest.approx(expected, rel=1e-9)
    assert cohens_d(second, first) == pytest.approx(-expected, rel=1e-12)


def test_a_single_object_gives_no_test_and_says_so():
    table = random_table()
    used = np.flatnonzero(table["left_out"] == "")
    found = used[table["found"][used]]
    result = found_against_missed(row(table, found[0]))
    size = result["quantities"]["size"]
    assert (size["t_test"], size["welch_t_test"], size["effect_size"]) == (None, None, None)
    assert size["reason"] == "1 found and 0 missed objects; a t-test needs two of each"
    assert size["found"]["count"] == 1 and size["found"]["standard_error"] is None
    assert size["missed"] == {"count": 0, "mean": None, "standard_error": None}
    missed = used[~table["found"][used]]
    many = joined(*(row(table, index) for index in [*found[:5], missed[0]]))
    assert "1 missed" in found_against_missed(many)["quantities"]["size"]["reason"]
    empty = {name: column[:0] for name, column in table.items()}
    assert found_against_missed(empty)["objects"]["used"] == 0
    json.dumps([result, found_against_missed(empty)], allow_nan=False)


def test_a_class_with_one_object_says_so_beside_the_others():
    table = random_table()
    table["label"][100] = 5
    result = found_against_missed_by_class(table, (*NAMES, "single", "absent"))
    assert list(result) == [*NAMES, "single"]
    assert result["single"]["objects"]["used"] == 1
    assert "needs two of each" in result["single"]["quantities"]["size"]["reason"]
    rows = (table["label"] == 2) & (table["left_out"] == "")
    expected = stats.ttest_ind(
        table["size"][rows & table["found"]], table["size"][rows & ~table["found"]]
    )
    assert result["c"]["quantities"]["size"]["t_test"]["t"] == expected.statistic
    used = found_against_missed(table)["objects"]["used"]
    assert sum(values["objects"]["used"] for values in result.values()) == used
    json.dumps(result, allow_nan=False)


def test_constant_groups_give_no_test():
    table = random_table()
    table["size"] = np.where(table["found"], 0.5, 0.25)
    result = found_against_missed(table)["quantities"]["size"]
    assert result["t_test"] is None and "is the same" in result["reason"]
    table["size"][np.flatnonzero(table["found"] & (table["left_out"] == ""))[0]] = 0.6
    assert found_against_missed(table)["quantities"]["size"]["t_test"]["t"] > 0


def test_class_correlations_equal_scipy_on_the_means():
    table, precisions = random_table(), [0.9, 0.4, 0.7, 0.2, 0.5]
    result = class_correlations(table, precisions, NAMES)
    assert [row["name"] for row in result["classes"]] == list(NAMES)
    for name in ("size", "distance", "true_saliency"):
        means = []
        for label in range(len(NAMES)):
            rows = (table["label"] == label) & (table["left_out"] == "")
            means.append(np.nanmean(table[name][rows]))
        correlation = result["correlations"][name]
        np.testing.assert_allclose([row[name] for row in result["classes"]], means)
        for key, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            expected = function(means, precisions)
            assert correlation[key]["correlation"] == pytest.approx(expected.statistic, rel=1e-9)
            assert correlation[key]["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert correlation["count"] == len(NAMES)
    json.dumps(result, allow_nan=False)


def test_classes_without_value_are_named_and_left_out():
    table = random_table()
    table["left_out"][table["label"] == 3] = "crowd"
    result = class_correlations(table, [0.9, None, 0.7, 0.2, 0.5], NAMES)
    assert result["without_average_precision"] == ["b"]
    assert result["without_objects"] == ["d"]
    assert [row["name"] for row in result["classes"]] == ["a", "c", "e"]
    assert result["correlations"]["size"]["count"] == 3
    fewer = class_correlations(table, [0.9, None, float("nan"), 0.2, 0.5], NAMES)
    size = fewer["correlations"]["size"]
    assert size["pearson"] is None and size["spearman"] is None
    assert size["reason"] == "2 pairs; a correlation needs 3"
    json.dumps(fewer, allow_nan=False)
    with pytest.raises(ValueError, match="4 labels for 5 label names"):
        class_correlations(table, [0.1] * 4, NAMES)


def test_a_class_without_saliency_keeps_its_other_means():
    table = random_table()
    table["true_saliency"][table["label"] == 2] = np.nan
    means = class_means(table, len(NAMES))
    assert means["true_saliency"][2] is None and means["size"][2] is not None
    result = class_correlations(table, [0.9, 0.4, 0.7, 0.2, 0.5], NAMES)
    assert result["correlations"]["true_saliency"]["count"] == 4


def test_correlation_of_what_does_not_vary():
    result = correlate([1, 2, 3, None], [5, 5, 5, 6])
    assert result["count"] == 3 and result["pearson"] is None and "same" in result["reason"]
    perfect = correlate([1, 2, 3, 5], [2, 4, 6, 10])
    assert perfect["pearson"]["correlation"] == pytest.approx(1)
    with pytest.raises(ValueError):
        correlate([1, 2], [1, 2, 3])


def test_the_exported_table_of_real_photographs_gives_the_same_to_scipy(real_data, tmp_path):
    coco = read_split("coco", real_data("coco128"), "val")
    generator = np.random.default_rng(0)
    predicted = (coco.labels == 1) & (generator.random(coco.labels.shape) < 0.5)
    table = object_table(coco, predicted, lambda index: np.outer(np.hanning(24), np.hanning(32)))
    write_object_table(str(tmp_path / "objects.parquet"), table)
    frame = pyarrow.parquet.read_table(tmp_path / "objects.parquet").to_pydict()
    frame = {name: np.array(column) for name, column in frame.items()}
    used = frame["left_out"] == ""
    quantities = found_against_missed(table)["quantities"]
    assert set(quantities) == {"size", "distance", "predicted_saliency"}
    for name, values in quantities.items():
        groups = frame[name][used & frame["found"]], frame[name][used & ~frame["found"]]
        expected = stats.ttest_ind(*groups)
        assert (values["t_test"]["t"], values["t_test"]["p_value"]) == (
            expected.statistic,
            expected.pvalue,
        )
        assert min(map(len, groups)) > 20

    precisions = generator.random(len(coco.label_names))
    result = class_correlations(table, precisions, coco.label_names)
    labels = np.unique(frame["label"][used])
    assert result["correlations"]["size"]["count"] == len(labels) > 20
    means = [frame["size"][used & (frame["label"] == label)].mean() for label in labels]
    expected = stats.pearsonr(means, precisions[labels])
    pearson = result["correlations"]["size"]["pearson"]
    assert pearson["correlation"] == pytest.approx(expected.statistic, rel=1e-9)
    assert pearson["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
