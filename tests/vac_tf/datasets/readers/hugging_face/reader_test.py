"""Tests of vac_tf/datasets/readers/hugging_face."""

import contextlib
import json
import os

import numpy as np
import pyarrow
import pytest

from tests.vac_tf.datasets.readers.hugging_face.saved import (
    CLASSES,
    FEATURES,
    ROWS,
    SCHEMA,
    write,
    write_split,
)
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError
from vac_tf.datasets.packed_images import file_of, read_image
from vac_tf.datasets.readers.hugging_face.reader import read_hugging_face
from vac_tf.datasets.run_splits import read_run_split

NAN = np.nan
LABELS = [[1, 0, 1, 1], [0, 0, 0, NAN], [NAN, NAN, NAN, 0]]


def of(kind, **more):
    return {"_type": kind, **more}


def with_column(name, feature, kind, values):
    """Features, schema and rows with one more column."""
    rows = [{**row, name: value} for row, value in zip(ROWS, values, strict=True)]
    return {
        "features": {**FEATURES, name: feature},
        "schema": SCHEMA.append(pyarrow.field(name, kind)),
        "rows": rows,
    }


def test_lists_of_classes_and_booleans_and_images_in_place(tmp_path):
    write(tmp_path)
    config = TrainConfig(dataset="hf", data_dir=str(tmp_path), group_column="person")
    split = read_run_split(config, "train")
    assert split.label_names == (*CLASSES, "indoors") and split.groups == ("4", "4", "5")
    np.testing.assert_array_equal(split.labels, np.float32(LABELS))
    assert [read_image(path) for path in split.image_paths] == [row["image"][0] for row in ROWS]
    names = [os.path.basename(path) for path in split.image_paths]
    assert names == ["a.jpg", "row_2", "c.png"]
    files = [os.path.basename(file_of(path)) for path in split.image_paths]
    assert files == ["data-00000-of-00002.arrow"] * 2 + ["data-00001-of-00002.arrow"]
    assert len(read_hugging_face(tmp_path, "test")) == 1
    assert read_hugging_face(tmp_path, "train", group_column="video").groups is None


def test_a_data_set_without_splits(tmp_path):
    write_split(tmp_path)
    assert len(read_hugging_face(tmp_path, "train")) == 3
    with pytest.raises(UnknownSplitError, match=r"Unknown split 'val' in .*Found: \['train'\]"):
        read_hugging_face(tmp_path, "val")
    state = json.loads((tmp_path / "state.json").read_text()) | {"_split": "validation"}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert len(read_hugging_face(tmp_path, "validation")) == 3


@pytest.mark.parametrize("kind", ["List", "LargeList", "Sequence", "json list"])
def test_every_way_to_write_a_list(tmp_path, kind):
    inner = of("ClassLabel", names=list(CLASSES))
    feature = [inner] if kind == "json list" else of(kind, feature=inner)
    write(tmp_path, features={**FEATURES, "labels": feature})
    np.testing.assert_array_equal(read_hugging_face(tmp_path, "train").labels, np.float32(LABELS))


def test_columns_can_be_named(tmp_path):
    column = with_column("old", of("Value", dtype="int8"), pyarrow.int8(), [1, 0, None])
    write(tmp_path, **column)
    split = read_hugging_face(tmp_path, "train", label_columns="old,indoors")
    assert split.label_names == ("old", "indoors")
    np.testing.assert_array_equal(split.labels, np.float32([[1, 1], [0, NAN], [NAN, 0]]))
    # Numbers are labels only where they are named.
    assert read_hugging_face(tmp_path, "train", ignore_columns="labels").label_names == ("indoors",)


def test_a_single_class_and_the_names_of_several_columns(tmp_path):
    feature = of("ClassLabel", names=["a", "cat"])
    write(tmp_path, **with_column("kind", feature, pyarrow.int64(), [1, -1, 0]))
    split = read_hugging_face(tmp_path, "train", label_columns="kind")
    assert split.label_names == ("a", "cat")
    np.testing.assert_array_equal(split.labels, np.float32([[0, 1], [NAN, NAN], [1, 0]]))
    names = read_hugging_face(tmp_path, "train", ignore_columns="indoors").label_names
    assert names == ("labels:cat", "labels:dog", "labels:eel", "kind:a", "kind:cat")


def test_images_as_paths(tmp_path):
    rows = [{**row, "image": (None, f"{n}.jpg")} for n, row in enumerate(ROWS)]
    write(tmp_path, rows=rows)
    with pytest.raises(DatasetError, match="of-00002.arrow, row 1: image file .*0.jpg is missing"):
        read_hugging_face(tmp_path, "train")
    kept = read_hugging_face(tmp_path, "train", keep_missing=True).image_paths
    assert kept == tuple(str(tmp_path / "train" / f"{n}.jpg") for n in range(3))
    for path in kept:
        open(path, "wb").close()
    assert read_hugging_face(tmp_path, "train").image_paths == kept


BAD_ROWS = [
    ({"labels": [0, 3]}, "row 1: column 'labels': 3 is none of its 3 classes"),
    ({"labels": [0, -1]}, "row 1: column 'labels': -1 is none of its 3 classes"),
    ({"labels": [None]}, "row 1: column 'labels': None is none of its 3 classes"),
    ({"image": None}, "row 1: it has no image: neither bytes nor path"),
    ({"image": (None, None)}, "row 1: it has no image: neither bytes nor path"),
    ({"image": (None, "gone.jpg")}, "row 1: image file .*gone.jpg is missing"),
    ({"person": None}, "row 1: column 'person' .--group_column. must be text or a number"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, change, message):
    write(tmp_path, rows=[*ROWS, {**ROWS[0], **change}])
    with pytest.raises(DatasetError, match=f"data-00001-of-00002.arrow, {message}"):
        read_hugging_face(tmp_path, "train", group_column="person")
    rejected = []
    split = read_hugging_face(tmp_path, "train", group_column="person", rejected=rejected)
    assert len(split) == 3 and [row.line for row in rejected] == ["row 1"]


def test_values_that_are_not_what_the_features_say(tmp_path):
    of_text = with_column("kind", of("ClassLabel", names=["a"]), pyarrow.string(), ["a"] * 3)
    write(tmp_path, **of_text)
    with pytest.raises(DatasetError, match="row 1: column 'kind': 'a' is none of its 1 classes"):
        read_hugging_face(tmp_path, "train", label_columns="kind")
    write(tmp_path, features={**FEATURES, "person": FEATURES["labels"]})
    with pytest.raises(DatasetError, match="row 1: column 'person' must be a list: 4"):
        read_hugging_face(tmp_path, "train", label_columns="person")


def test_a_number_that_is_no_label(tmp_path):
    write(tmp_path)
    with pytest.raises(DatasetError, match="row 1: column 'person' must be true, false or null: 4"):
        read_hugging_face(tmp_path, "train", label_columns="person")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {"image": of("Image"), "x": of("Value", dtype="string")},
            "has no labels: expected a list",
        ),
        ({"labels": FEATURES["labels"]}, "must have one column of images.*have: none"),
        ({**FEATURES, "absent": of("Value", dtype="bool")}, r"has no columns \['absent'\]"),
        ({"person": of("Image"), "indoors": FEATURES["indoors"]}, "images must be bytes and path"),
        ({**FEATURES, "labels": of("List", feature=of("ClassLabel", names=["a", "a"]))}, "own"),
        ([], "`features` must be an object"),
    ],
)
def test_unusable_features_say_why(tmp_path, features, message):
    write(tmp_path, features=features)
    with pytest.raises(DatasetError, match=message):
        read_hugging_face(tmp_path, "train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_columns": "colour"}, r"has no columns \['colour'\]; found"),
        ({"ignore_columns": "colour"}, r"has no columns \['colour'\]; found"),
        ({"label_columns": "image"}, "column 'image' cannot be labels"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, options, message):
    write(tmp_path)
    with pytest.raises(DatasetError, match=message):
        read_hugging_face(tmp_path, "train", **options)


def test_compressed_and_damaged_files_are_refused(tmp_path):
    rows = [{**ROWS[0], "image": (bytes(5000), "a.jpg")}, *ROWS]
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    write(tmp_path, rows=rows, options=options)
    with pytest.raises(DatasetError, match="of-00002.arrow is compressed, so that images have no"):
        read_hugging_face(tmp_path, "train")
    write(tmp_path)
    path = tmp_path / "train" / "data-00000-of-00002.arrow"
    data = path.read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"x" * 500):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="00000-of-00002.arrow: not a readable Arrow file"):
            read_hugging_face(tmp_path, "train")
    path.unlink()
    with pytest.raises(DatasetError, match="There is no file .*00000-of-00002.arrow"):
        read_hugging_face(tmp_path, "train")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset_dict.json", {"splits": "train"}, "`splits` must be a list of names"),
        ("dataset_dict.json", {}, r"the keys \['splits'\] are missing"),
        ("train/state.json", {"_data_files": [{"filename": "../x.arrow"}]}, "list of file names"),
        ("train/state.json", {"_data_files": 3}, "must be a list of file names"),
        (
            "train/state.json",
            {"_data_files": [], "_indices_data_files": [1]},
            "order of other file",
        ),
        ("train/state.json", {"_data_files": []}, "has no usable row"),
        ("train/dataset_info.json", {}, r"the keys \['features'\] are missing"),
    ],
)
def test_a_bad_description_says_why(tmp_path, file, content, message):
    write(tmp_path)
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        read_hugging_face(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="There is no folder"):
        read_hugging_face(tmp_path / "typo", "train")
    with pytest.raises(
        DatasetError, match="neither dataset_dict.json nor state.json.*save_to_disk"
    ):
        read_hugging_face(tmp_path, "train")
    write(tmp_path)
    with pytest.raises(UnknownSplitError, match=r"Found: \['train', 'test'\]"):
        read_hugging_face(tmp_path, "val")


def test_a_length_in_a_file_that_is_wrong_is_read_or_refused(tmp_path):
    """Also of the buffer that says where images begin, which Arrow itself does not mind."""
    write(tmp_path)
    file = tmp_path / "train" / "data-00000-of-00002.arrow"
    whole = file.read_bytes()
    lengths = [
        place
        for place in range(0, len(whole) - 8, 8)
        if int.from_bytes(whole[place : place + 8], "little") in range(4, 64)
    ]
    assert len(lengths) > 5
    for place in lengths:
        file.write_bytes(whole[:place] + bytes([whole[place] + 2]) + whole[place + 1 :])
        with contextlib.suppress(DatasetError):
            read_hugging_face(tmp_path, "train")
