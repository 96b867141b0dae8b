"""Tests of vac_tf/datasets/readers/pedestrians/rap.py and matlab_values.py."""

import logging

import numpy as np
import pytest
from scipy.io import savemat

from tests.vac_tf.datasets.readers.pedestrians.pa100k_test import cells
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError
from vac_tf.datasets.readers.pedestrians.rap import read_rap
from vac_tf.datasets.run_splits import read_run_split

IMAGES = [f"CAM01_{number}.png" for number in range(6)]
LABELS = np.array(
    [[2, 1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]], np.uint8
)


def partitions(shape, *parts):
    """A cell array of structs of row vectors, counted from 1."""
    array = np.empty(len(parts), object)
    for number, part in enumerate(parts):
        array[number] = {key: np.array([value], np.float64) for key, value in part.items()}
    return array.reshape(shape)


def version_1(**changes):
    """92 attributes are here four, of which the first two are evaluated."""
    content = {
        "partition": partitions(
            (-1, 1),
            {"train_index": [1, 3, 4], "test_index": [2, 5, 6]},
            {"train_index": [6, 5], "test_index": [1]},
        ),
        "label": LABELS,
        "attribute_eng": cells(["Femal", "AgeLess16", "hs-BaldHead", "up-Red"]),
        "attribute_exp": cells(["Female", "Age16"]),
        "imagesname": cells(IMAGES),
    }
    return content | changes


def version_2(**changes):
    """As version 1, with a part to validate on; data has columns of boxes behind the attributes."""
    content = {
        "name": cells(IMAGES),
        "data": np.concatenate([LABELS, np.full((6, 2), 77, np.uint8)], axis=1),
        "attribute": cells(["Femal", "AgeLess16", "hs-BaldHead", "up-Red"]),
        "selected_attribute": np.array([[1, 3]]),
        "partition_attribute": partitions(
            (1, -1), {"train_index": [1, 3], "val_index": [4], "test_index": [2, 5, 6]}
        ),
    }
    return content | changes


def write(folder, content=None, place="RAP_annotation"):
    content = version_2() if content is None else content
    (folder / place).mkdir(exist_ok=True)
    (folder / "RAP_dataset").mkdir(exist_ok=True)
    for name in IMAGES:
        (folder / "RAP_dataset" / name).write_bytes(b"")
    content = {key: value for key, value in content.items() if value is not None}
    savemat(folder / place / "RAP_annotation.mat", {"RAP_annotation": content})


def rows(split):
    return [IMAGES.index(path.rsplit("/")[-1]) for path in split.image_paths]


@pytest.mark.parametrize("place", ["RAP_annotation", ""])
def test_version_1(tmp_path, place):
    write(tmp_path, version_1(), place)
    split = read_rap(tmp_path, "train")
    assert split.label_names == ("Female", "Age16") and rows(split) == [0, 2, 3]
    np.testing.assert_array_equal(split.labels, np.float32([[np.nan, 1], [1, 0], [1, 1]]))
    assert rows(read_rap(tmp_path, "trainval")) == [0, 2, 3]
    assert rows(read_rap(tmp_path, "test")) == [1, 4, 5]
    with pytest.raises(UnknownSplitError, match="has train_index, test_index, as all of RAP 1"):
        read_rap(tmp_path, "val")


def test_version_2(tmp_path):
    write(tmp_path)
    split = read_rap(tmp_path, "trainval")
    assert split.label_names == ("Femal", "hs-BaldHead") and rows(split) == [0, 2, 3]
    np.testing.assert_array_equal(split.labels, np.float32([[np.nan, 0], [1, 0], [1, 1]]))
    parts = [rows(read_rap(tmp_path, name)) for name in ("train", "val", "test")]
    assert parts == [[0, 2], [3], [1, 4, 5]]


def test_a_run_chooses_partition_and_attributes(tmp_path):
    write(tmp_path, version_1())
    config = TrainConfig(
        dataset="rap", data_dir=str(tmp_path), rap_partition=2, label_columns="up-Red,Female"
    )
    split = read_run_split(config, "train")
    assert split.label_names == ("up-Red", "Female") and rows(split) == [5, 4]
    np.testing.assert_array_equal(split.labels, np.float32([[1, 0], [0, 0]]))


def test_warns_when_counts_differ(tmp_path, caplog):
    for content, count in ((version_1(), 33268), (version_2(), 50957)):
        write(tmp_path, content)
        with caplog.at_level(logging.WARNING):
            read_rap(tmp_path, "train")
        assert f"images; the official train has {count}" in caplog.text


def one_partition(train, test=(1,)):
    return partitions((-1, 1), {"train_index": train, "test_index": list(test)})


BAD_ROWS = [
    (
        {"label": np.array([[0], [3], [0], [0], [0], [0]], np.uint8).repeat(4, 1)},
        "image 2: labels must be 0, 1 or 2 .uncertain., got 3",
    ),
    ({"partition": one_partition([1, 1, 3])}, "image 1: partition 1 has the same image twice"),
    (
        {"imagesname": cells([*IMAGES[:3], "gone.png", *IMAGES[4:]])},
        "image 4: image file .*gone.png is missing",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, changes, message):
    everything = {"partition": one_partition([1, 2, 3, 4])}
    write(tmp_path, version_1(**(everything | changes)))
    with pytest.raises(DatasetError, match=f"RAP_annotation.mat, {message}"):
        read_rap(tmp_path, "train")
    rejected = []
    split = read_rap(tmp_path, "train", rejected=rejected)
    assert message.split(":")[0] in [row.line for row in rejected]
    assert len(split) + len(rejected) in (3, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (version_1(imagesname=None), "no field 'imagesname'. Found"),
        (version_2(name=None), "no field 'name'. Found"),
        (version_1(label=LABELS[:3]), r"'label' must be a numeric matrix of shape \(6, 4\)"),
        (version_2(data=LABELS[:, :2]), r"'data' must be .* \(6, 4\).*got uint8 \(6, 2\)"),
        (version_2(selected_attribute=np.array([[9]])), "evaluated attributes are not among the 6"),
        (version_2(selected_attribute=np.array([[1.5]])), "must be a vector of whole numbers"),
        (version_1(partition=np.arange(3)), "'partition' must be a cell array"),
        (version_1(partition=cells([1.0, 2.0])), "'partition 1' must be a struct"),
        (version_1(partition=one_partition([0, 2])), r"partition 1 must hold numbers .* in 1\.\.6"),
        (version_1(partition=one_partition([7])), r"partition 1 must hold numbers .* in 1\.\.6"),
        (version_1(partition=partitions(1, {"other": [1]})), "no 'train', only other"),
        (version_1(attribute_exp=np.arange(2.0)), "'attribute_exp' must be a non-empty cell array"),
    ],
)
def test_an_unusable_file_says_why(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(DatasetError, match=message):
        read_rap(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no RAP_annotation.mat in"):
        read_rap(tmp_path, "train")
    with pytest.raises(UnknownSplitError, match="Known: train, val, trainval, test"):
        read_rap(tmp_path, "dev")
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"has 1 partitions, got partition 2 \(--rap_partition"):
        read_rap(tmp_path, "train", partition=2)
    with pytest.raises(DatasetError, match=r"label_columns names \['Hat'\].*found \['Femal'"):
        read_rap(tmp_path, "train", label_columns="Hat")
    savemat(tmp_path / "RAP_annotation" / "RAP_annotation.mat", {"peta": 1})
    with pytest.raises(DatasetError, match="no variable 'RAP_annotation'. Found"):
        read_rap(tmp_path, "train")
