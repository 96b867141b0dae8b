"""Columns and cells of tables as other programs write them."""

import math

import numpy as np
import pytest

from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.table import read_table


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    return tmp_path


def write(folder, text, name="train.csv"):
    (folder / name).write_text(text)


def test_ignored_columns_are_no_labels(folder):
    write(folder, 'image,id,"wide, high",cat,dog\na.jpg,17,2,1,0\nb.jpg,18,3,0,1\n')
    split = read_table(folder, "train", ignore_columns='id,"wide, high"')
    assert split.label_names == ("cat", "dog")
    assert split.labels.tolist() == [[1, 0], [0, 1]]
    # A column that only another table of the data set has is no mistake of the flag.
    write(folder, "image,cat,dog\nc.jpg,1,1\n", "val.csv")
    assert read_table(folder, "val", ignore_columns="id").label_names == ("cat", "dog")
    with pytest.raises(DatasetError, match=r"ignore_columns.*\['idd'\].*found.*'id'"):
        read_table(folder, "train", ignore_columns="idd,id")


def test_named_columns_alone_are_labels(folder):
    write(folder, "image,caption,dog,cat\na.jpg,one,1,0\nb.jpg,two,0,\n")
    split = read_table(folder, "train", label_columns="cat,dog")
    assert split.label_names == ("cat", "dog")
    np.testing.assert_array_equal(split.labels, [[0, 1], [math.nan, 0]])
    with pytest.raises(DatasetError, match=r"label_columns.*\['cow'\].*found.*'caption'"):
        read_table(folder, "train", label_columns="cat,cow")
    with pytest.raises(DatasetError, match=r"label_columns.*\['image'\]"):
        read_table(folder, "train", label_columns="cat,image")


def test_a_labels_column_beside_others_is_chosen(folder):
    write(folder, "image,labels,score,cat\na.jpg,dog|cow,0.7,1\nb.jpg,cow,0.2,0\n")
    with pytest.raises(DatasetError, match="--ignore_columns"):
        read_table(folder, "train")
    for options in ({"ignore_columns": "score,cat"}, {"label_columns": "labels"}):
        split = read_table(folder, "train", **options)
        assert split.label_names == ("cow", "dog")
        assert split.labels.tolist() == [[1, 1], [1, 0]]
    split = read_table(folder, "train", label_columns="cat")
    assert (split.label_names, split.labels.tolist()) == (("cat",), [[1], [0]])


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_true_and_false_are_labels(folder, yes, no):
    write(folder, f"image,cat,dog\na.jpg,{yes},{no}\nb.jpg,{no},\n")
    labels = read_table(folder, "train").labels
    np.testing.assert_array_equal(labels, [[1, 0], [0, math.nan]])


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_header_shows_what_separates_the_cells(folder, separator):
    text = '\n"image",cat,"dog, small"\na.jpg,1,0\n"b.jpg",0,1\n'
    quoted = text.replace(",", separator).replace(f"dog{separator} small", "dog, small")
    write(folder, quoted)
    split = read_table(folder, "train")
    assert split.label_names == ("cat", "dog, small")
    assert split.labels.tolist() == [[1, 0], [0, 1]]
    write(folder, f"image{separator}labels\nc.jpg{separator}cat|dog\n")
    assert read_table(folder, "train").label_names == ("cat", "dog")


def test_tabs_separate_the_cells_of_a_tsv(folder):
    write(folder, "image\tcat\tdog, small\na.jpg\t1\t0\n", "train.tsv")
    split = read_table(folder, "train")
    assert (split.label_names, split.labels.tolist()) == (("cat", "dog, small"), [[1, 0]])
    write(folder, "image,cat\na.jpg,1\n", "train.tsv")  # As the header shows, whatever its name.
    assert read_table(folder, "train").label_names == ("cat",)
    write(folder, "image\tcat\tsplit\nb.jpg\t0\ttest\n", "train.tsv")
    assert read_table(folder / "train.tsv", "test").labels.tolist() == [[0]]
    write(folder, "picture\tcat\na.jpg\t1\n", "train.tsv")
    with pytest.raises(DatasetError, match=r"no column of image paths.*\['picture', 'cat'\]"):
        read_table(folder, "train")


def test_a_comma_separates_wherever_it_can(folder):
    write(folder, "image,cat;dog\na.jpg,1\n")
    assert read_table(folder, "train").label_names == ("cat;dog",)
    write(folder, "picture;cat\na.jpg;1\n")
    with pytest.raises(DatasetError, match="no column of image paths"):
        read_table(folder, "train")
