"""Tables of soft labels and weights: what is read, kept, and refused."""

import numpy as np
import pytest

from vac_tf.datasets import DatasetError, Split, read_split
from vac_tf.datasets.description import describe
from vac_tf.datasets.joined import join_splits
from vac_tf.datasets.split_checks import binarized

TABLE = """image,cat,dog,weight
a.png,0.7,0.5,2
b.png,0.2,,0.5
c.png,True,0,0
"""
SOFT = np.array([[0.7, 0.5], [0.2, np.nan], [1, 0]], np.float32)


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"")
    (tmp_path / "train.csv").write_text(TABLE)
    return tmp_path


def read(folder, **options):
    values = {"soft_labels": True, "weight_column": "weight"} | options
    return read_split("table", folder, "train", **values)


def test_soft_labels_are_learnt_and_counted_from_a_half_on(folder):
    split = read(folder)
    np.testing.assert_array_equal(split.training_labels, SOFT)
    np.testing.assert_array_equal(split.labels, [[1, 1], [0, np.nan], [1, 0]])
    np.testing.assert_array_equal(split.weights, np.float32([2, 0.5, 0]))
    assert split.label_names == ("cat", "dog")
    # What the loss is weighted by is what it is made of.
    np.testing.assert_allclose(split.positive_ratio(), [1.9 / 3, 0.25])
    said = describe(split)
    assert "soft labels: 3 of 5 known ones lie between 0 and 1" in said
    assert "positive from 0.5 on" in said
    assert "weights: 0 to 2, mean 0.833; 1 examples have 0" in said


def test_parts_and_unions_keep_what_belongs_to_their_examples(folder):
    split = read(folder)
    part = split.select([2, 0])
    np.testing.assert_array_equal(part.soft_labels, SOFT[[2, 0]])
    np.testing.assert_array_equal(part.weights, np.float32([0, 2]))
    np.testing.assert_array_equal(split.with_labels(("dog", "cat")).soft_labels, SOFT[:, ::-1])
    hard = Split(("d.png",), np.float32([[1, 0]]), ("cat", "dog"))
    joined = join_splits([split, hard])
    np.testing.assert_array_equal(joined.training_labels, [*SOFT, [1, 0]])
    np.testing.assert_array_equal(joined.weights, np.float32([2, 0.5, 0, 1]))
    assert join_splits([hard, hard]).soft_labels is None


def test_without_the_flags_nothing_is_soft_or_weighted(folder):
    (folder / "train.csv").write_text("image,cat\na.png,1\nb.png,0\n")
    split = read(folder, soft_labels=False, weight_column="")
    assert split.soft_labels is None and split.weights is None
    assert split.training_labels is split.labels


def test_a_split_without_the_column_has_no_weights(folder):
    (folder / "test.csv").write_text("image,cat,dog\na.png,1,0\n")
    other = read_split("table", folder, "test", soft_labels=True, weight_column="weight")
    assert other.weights is None


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1.2", "'1.2' is no number in 0..1"),
        ("-0.1", "'-0.1' is no number in 0..1"),
        ("nan", "'nan' is no number in 0..1"),
        ("often", "'often' is no number in 0..1"),
    ],
)
def test_what_is_no_soft_label(folder, cell, said):
    (folder / "train.csv").write_text(TABLE.replace("0.2", cell))
    with pytest.raises(DatasetError, match=f"line 3: column 'cat': {said}"):
        read(folder)


@pytest.mark.parametrize("cell", ["-1", "", "nan", "inf", "much"])
def test_what_is_no_weight(folder, cell):
    (folder / "train.csv").write_text(TABLE.replace(",,0.5", f",,{cell}"))
    said = rf"line 3: column 'weight' \(--weight_column\) must hold a number.*got '{cell}'"
    with pytest.raises(DatasetError, match=said):
        read(folder)


def test_the_column_and_the_flag_must_fit_the_table(folder):
    with pytest.raises(DatasetError, match="weight_column names .*'wheight'.*no such column"):
        read(folder, weight_column="wheight")
    with pytest.raises(DatasetError, match="Of numbers between 0 and 1 give --soft_labels"):
        read(folder, soft_labels=False)
    (folder / "train.csv").write_text("image,labels,weight\na.png,cat,1\n")
    with pytest.raises(DatasetError, match="soft labels need a column of numbers per label"):
        read(folder)


def test_a_split_refuses_soft_labels_that_are_not_its_labels():
    names, labels = ("cat", "dog"), np.float32([[1, 0]])
    for soft, said in (
        (np.float32([[0.4, 0.0]]), "positive from 0.5 on"),
        (np.float32([[1.4, 0.0]]), "must lie in 0..1"),
        (np.float32([1.0, 0.0]), "must be float32 of shape"),
    ):
        with pytest.raises(ValueError, match=said):
            Split(("a.png",), labels, names, soft_labels=soft)
    for weights, said in (
        (np.float32([-1]), "not negative"),
        (np.float32([np.nan]), "finite"),
        (np.float32([1, 1]), "must be float32 of shape"),
    ):
        with pytest.raises(ValueError, match=said):
            Split(("a.png",), labels, names, weights=weights)
    np.testing.assert_array_equal(binarized(SOFT), [[1, 1], [0, np.nan], [1, 0]])
