"""Tests of vac_tf/datasets/readers/table.py and table_file.py."""

import math

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.table import read_table


@pytest.fixture
def folder(tmp_path):
    """A folder with the images a.jpg to e.jpg (never decoded by the reader)."""
    for name in "abcde":
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    return tmp_path


def write(folder, text, name="train.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))


def test_label_columns(folder):
    write(folder, "image,cat,dog\na.jpg,1,0\nb.jpg,,1\n")
    split = read_table(folder, "train")
    assert split.image_paths == (str(folder / "a.jpg"), str(folder / "b.jpg"))
    assert split.label_names == ("cat", "dog")
    np.testing.assert_array_equal(split.labels, [[1, 0], [math.nan, 1]])
    assert split.boxes is None
    assert (split.name, split.dataset) == ("train", "table")


def test_byte_order_mark_quotes_and_spaces(folder):
    (folder / "f, g.jpg").write_bytes(b"")
    write(folder, 'image, cat\n"f, g.jpg", 1\n', encoding="utf-8-sig")
    split = read_table(folder, "train")
    assert split.image_paths == (str(folder / "f, g.jpg"),)
    assert split.label_names == ("cat",)


def test_absolute_paths_stay(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    write(elsewhere, f"path,cat\n{folder / 'a.jpg'},1\n")
    assert read_table(elsewhere, "train").image_paths == (str(folder / "a.jpg"),)


def test_one_file_with_a_split_column(folder):
    write(folder, "image,split,cat\na.jpg,train,1\nb.jpg,test,0\nc.jpg,train,0\n", "all.csv")
    for data_dir in (folder, folder / "all.csv"):
        assert len(read_table(data_dir, "train")) == 2
        assert read_table(data_dir, "test").labels.tolist() == [[0]]
        with pytest.raises(DatasetError, match=r"Unknown split 'val'.*\['test', 'train'\]"):
            read_table(data_dir, "val")


def test_joined_labels_have_one_vocabulary_for_all_splits(folder):
    write(folder, "image,labels\na.jpg,dog|cat\nb.jpg,\n")
    write(folder, "image,labels\nc.jpg, emu | dog|\n", "test.csv")
    write(folder, "name,probability\nc.jpg,zebra\n", "scores.csv")
    train, test = read_table(folder, "train"), read_table(folder, "test")
    assert train.label_names == test.label_names == ("cat", "dog", "emu")
    assert train.labels.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert test.labels.tolist() == [[0, 1, 1]]


def test_a_name_given_twice_counts_once_and_the_separator_is_free(folder):
    write(folder, "image,labels\na.jpg,big cat;dog;dog\n")
    split = read_table(folder, "train", label_separator=";")
    assert split.label_names == ("big cat", "dog")
    assert split.labels.tolist() == [[1, 1]]


def test_parquet_equals_csv(folder):
    write(folder, "image,x,y,w,h,cat,dog\na.jpg,0,1,2.5,3,1,0\nb.jpg,4,5,6,7,,1\n", "csv.csv")
    columns = {
        "image": ["a.jpg", "b.jpg"],
        "x": [0, 4],
        "y": [1, 5],
        "w": [2.5, 6.0],
        "h": [3, 7],
        "cat": [1, None],
        "dog": [False, True],
    }
    parquet.write_table(pyarrow.table(columns), folder / "parquet.parquet")
    first, second = read_table(folder, "csv"), read_table(folder, "parquet")
    assert first.image_paths == second.image_paths
    assert first.label_names == second.label_names
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.boxes, second.boxes)


def test_parquet_list_of_labels(folder):
    columns = {"image": ["a.jpg", "b.jpg"], "labels": [["dog", "cat"], []]}
    parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
    assert read_table(folder, "train").labels.tolist() == [[1, 1], [0, 0]]


def test_boxes_may_stick_out_and_share_an_image(folder):
    write(folder, "image,x,y,w,h,cat\na.jpg,-1,-2,3.5,4,1\na.jpg,0,0,1,1,0\n")
    split = read_table(folder, "train")
    assert split.boxes.tolist() == [[-1, -2, 3.5, 4], [0, 0, 1, 1]]


BAD_ROWS = [
    ("image,cat\na.jpg,1\nb.jpg,2\n", 3, "column 'cat': '2' is none of 0, 1, True, False or"),
    ("image,cat\na.jpg,1\nb.jpg,yes\n", 3, "'yes'"),
    ("image,cat\na.jpg,1\nz.jpg,0\n", 3, r"z\.jpg is missing"),
    ("image,cat\na.jpg,1\n,0\n", 3, "path is empty"),
    ("image,cat\na.jpg,1\nb.jpg\n", 3, "1 cells, but there are 2 columns"),
    ("image,cat\na.jpg,1\nb.jpg,1,0\n", 3, "3 cells"),
    ('image,cat\na.jpg,1\n"b.jpg\n",5\nc.jpg,0\n', 3, "'5'"),
    ("image,x,y,w,h,cat\na.jpg,0,0,1,1,1\nb.jpg,0,0,0,5,1\n", 3, "positive area"),
    ("image,x,y,w,h,cat\na.jpg,0,0,1,1,1\nb.jpg,0,0,5,-1,1\n", 3, "positive area"),
    ("image,x,y,w,h,cat\na.jpg,0,0,1,1,1\nb.jpg,0,0,wide,5,1\n", 3, "four numbers.*wide"),
    ("image,x,y,w,h,cat\na.jpg,0,0,1,1,1\nb.jpg,0,0,nan,5,1\n", 3, "four numbers"),
]


@pytest.mark.parametrize(("text", "line", "reason"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(folder, text, line, reason):
    write(folder, text)
    with pytest.raises(DatasetError, match=f"train.csv, line {line}: .*{reason}"):
        read_table(folder, "train")
    rejected = []
    split = read_table(folder, "train", rejected=rejected)
    good = ["a.jpg", "c.jpg"] if "c.jpg" in text else ["a.jpg"]
    assert split.image_paths == tuple(str(folder / name) for name in good)
    assert [(row.file, row.line) for row in rejected] == [(str(folder / "train.csv"), line)]


def test_a_bad_parquet_value_names_its_row(folder):
    columns = {"image": ["a.jpg", "b.jpg"], "cat": [1, 3]}
    parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
    with pytest.raises(DatasetError, match="train.parquet, line 2: column 'cat': 3"):
        read_table(folder, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("image,cat\n", "no usable row"),
        ("image\na.jpg\n", "has no label"),
        ("picture,cat\na.jpg,1\n", "no column of image paths.*picture"),
        ("image,cat,cat\na.jpg,1,0\n", r"\['cat'\] occur more than once"),
        ("image,,cat\na.jpg,1,0\n", "column 2 has no name"),
        ("image,x,y,cat\na.jpg,1,0,1\n", r"only the box columns \['x', 'y'\]"),
        ("image,labels,cat\na.jpg,dog,1\n", r"both a `labels` column and other.*\['cat'\]"),
        ("image,labels\na.jpg,\n", "empty in every row"),
        ('image,cat\na.jpg,1\n"b.jpg,0\n', "line 3: not valid CSV"),
    ],
)
def test_an_unusable_table_says_why(folder, text, message):
    write(folder, text)
    with pytest.raises(DatasetError, match=message):
        read_table(folder, "train")


def test_text_that_is_not_utf8(folder):
    write(folder, "image,größe\na.jpg,1\n", encoding="latin-1")
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_table(folder, "train")


@pytest.mark.parametrize("strange", [None, ["dog"], True])
def test_a_list_of_labels_holds_names_only(folder, strange):
    for split, image, labels in (("train", "a.jpg", ["dog", "cat"]), ("val", "b.jpg", [strange])):
        table = pyarrow.table({"image": [image], "labels": [labels]})
        parquet.write_table(table, folder / f"{split}.parquet")
    # The other split's list names no label.
    assert read_table(folder, "train").label_names == ("cat", "dog")
    with pytest.raises(DatasetError, match="val.parquet, line 1: the list of `labels` holds"):
        read_table(folder, "val")


def test_a_damaged_parquet_file(folder):
    (folder / "train.parquet").write_bytes(b"PAR1 no more than this")
    with pytest.raises(DatasetError, match="train.parquet: not a readable Parquet file"):
        read_table(folder, "train")


def test_a_parquet_file_whose_column_is_named_in_no_utf_8(folder):
    path = folder / "train.parquet"
    parquet.write_table(pyarrow.table({"image": ["a.jpg"], "dogs": [1]}), path)
    path.write_bytes(path.read_bytes().replace(b"dogs", b"d\xed\x20s"))
    with pytest.raises(DatasetError, match="train.parquet: not a readable Parquet file"):
        read_table(folder, "train")


def test_missing_and_ambiguous_files(folder):
    with pytest.raises(DatasetError, match="does not exist"):
        read_table(folder / "nowhere", "train")
    with pytest.raises(DatasetError, match="There is no table in .*.csv, .tsv, .parquet"):
        read_table(folder, "train")
    write(folder, "image,cat\na.jpg,1\n")
    with pytest.raises(DatasetError, match=r"Unknown split 'val'.*Found: train.csv"):
        read_table(folder, "val")
    with pytest.raises(DatasetError, match="no `split` column"):
        read_table(folder / "train.csv", "train")
    with pytest.raises(DatasetError, match="is no table"):
        read_table(folder / "a.jpg", "train")
    parquet.write_table(pyarrow.table({"image": ["a.jpg"], "cat": [1]}), folder / "train.parquet")
    with pytest.raises(DatasetError, match="Keep one of them"):
        read_table(folder, "train")


def test_columns_in_another_order_are_matched_by_name(folder):
    write(folder, "image,cat,dog\na.jpg,1,0\n")
    write(folder, "image,dog,cat\nb.jpg,1,0\n", "val.csv")
    write(folder, "image,dog,emu\nb.jpg,1,0\n", "test.csv")
    names = read_table(folder, "train").label_names
    assert read_table(folder, "val").with_labels(names).labels.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"Missing here: \['cat'\]. Not expected here: \['emu'\]"):
        read_table(folder, "test").with_labels(names)


@pytest.mark.parametrize(("split", "rows"), [("train", 7683), ("test", 2493)])
def test_mirflickr(real_data, split, rows):
    folder = real_data("mirflickr")
    loaded = read_table(folder, split)
    assert loaded.labels.shape == (rows, 14)
    lines = (folder / f"{split}.csv").read_text().splitlines()
    assert loaded.label_names == tuple(lines[0].split(",")[1:])
    expected = [[float(cell) for cell in line.split(",")[1:]] for line in lines[1:]]
    np.testing.assert_array_equal(loaded.labels, expected)
