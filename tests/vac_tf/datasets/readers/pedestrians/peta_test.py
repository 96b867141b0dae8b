"""Tests of vac_tf/datasets/readers/pedestrians/peta.py."""

import logging

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError
from vac_tf.datasets.readers.pedestrians.peta import read_peta
from vac_tf.datasets.run_splits import read_run_splits

# Subset -> lines of Label.txt, images beside it: the ways in which the archive names them.
SUBSETS = {
    "3DPeS": (
        ["100 personalMale upperBodyRed", "7 personalFemale"],
        ["100_3_FRAME_26_RGB.bmp", "100_4_FRAME_70_RGB.bmp", "7_5_FRAME_1_RGB.bmp"],
    ),
    "CUHK": (["0002.png personalMale hairLong", "0003.png"], ["0002.png", "0003.png"]),
}
NAMES = ("hairLong", "personalFemale", "personalMale", "upperBodyRed")
LABELS = [[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
SPLITS = "image,split\nPETA dataset/CUHK/archive/0003.png,test\n" + "".join(
    f"PETA dataset/3DPeS/archive/{name},train\n" for name in SUBSETS["3DPeS"][1]
)


def write(folder, splits=SPLITS):
    for subset, (lines, images) in SUBSETS.items():
        archive = folder / "PETA dataset" / subset / "archive"
        archive.mkdir(parents=True, exist_ok=True)
        (archive / "Label.txt").write_text("\n".join(lines) + "\n")
        for name in images:
            (archive / name).write_bytes(b"")
    if splits:
        (folder / "splits.csv").write_text(splits)


def paths(folder, *subsets):
    root = folder / "PETA dataset"
    return tuple(
        str(root / each / "archive" / name) for each in subsets for name in SUBSETS[each][1]
    )


@pytest.mark.parametrize("below", ["", "PETA dataset"])
def test_everything(tmp_path, below):
    write(tmp_path)
    split = read_peta(tmp_path / below, "all")
    assert split.label_names == NAMES and split.groups is None
    assert split.image_paths == paths(tmp_path, "3DPeS", "CUHK")
    np.testing.assert_array_equal(split.labels, LABELS)


def test_people_are_groups_and_labels_can_be_named(tmp_path):
    write(tmp_path)
    split = read_peta(tmp_path, "all", group_column="person", label_columns="personalMale,hairLong")
    assert split.groups == ("3DPeS_100", "3DPeS_100", "3DPeS_7", "CUHK_2", "CUHK_3")
    np.testing.assert_array_equal(split.labels, np.array(LABELS)[:, [2, 0]])


def test_a_run_holds_out_people(tmp_path):
    write(tmp_path, "")
    config = TrainConfig(
        dataset="peta",
        data_dir=str(tmp_path),
        train_split="all",
        validation_fraction=0.4,
        group_column="person",
    )
    splits = read_run_splits(config)
    assert not set(splits.train.groups) & set(splits.validation.groups)
    assert len(splits.train) + len(splits.validation) == 5


def test_a_table_of_splits(tmp_path):
    write(tmp_path)
    assert read_peta(tmp_path, "train").image_paths == paths(tmp_path, "3DPeS")
    test = read_peta(tmp_path, "test")
    # The labels are those of all images, so that splits agree.
    assert test.image_paths == paths(tmp_path, "CUHK")[1:] and test.label_names == NAMES


def test_warns_when_counts_differ(tmp_path, caplog):
    write(tmp_path)
    with caplog.at_level(logging.WARNING):
        read_peta(tmp_path, "all")
    assert "5 images; the official all has 19000" in caplog.text


BAD_ROWS = [
    ("3DPeS", "Label.txt, line 3: expected the number of a person, got 'x1'", "x1 hairLong", 5),
    ("3DPeS", "Label.txt, line 3: person 7 has other attributes", "7 hairLong", 4),
]


@pytest.mark.parametrize(("subset", "message", "line", "left"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, subset, message, line, left):
    write(tmp_path)
    with (tmp_path / "PETA dataset" / subset / "archive" / "Label.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DatasetError, match=message):
        read_peta(tmp_path, "all")
    rejected = []
    assert len(read_peta(tmp_path, "all", rejected=rejected)) == left
    assert rejected[0].line == 3


def test_an_image_of_nobody_is_listed(tmp_path):
    write(tmp_path)
    for name in ("person.png", "99.png"):
        (tmp_path / "PETA dataset" / "CUHK" / "archive" / name).write_bytes(b"")
    with pytest.raises(DatasetError, match="99.png: its name begins with no number of a person"):
        read_peta(tmp_path, "all")
    rejected = []
    assert len(read_peta(tmp_path, "all", rejected=rejected)) == 5 and len(rejected) == 2


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ("", r"Unknown split 'train': PETA's archive has none but 'all' \(--train_split=all\)"),
        ("image,part\na,train\n", "splits.csv needs the columns image and split; found"),
        ("image,split\na.png\n", "splits.csv, line 2: 1 cells, but there are 2 columns"),
        ("image,split\na.png,train\n", "splits.csv, line 2: .*a.png is no image of"),
        ("image,split\nsplits.csv,train\n", "splits.csv, line 2: .*splits.csv is no image of"),
        ("image,split\na.png,test\n", r"Unknown split 'train' in .*Found: \['test'\]"),
    ],
)
def test_a_bad_table_of_splits(tmp_path, splits, message):
    write(tmp_path, splits)
    with pytest.raises(DatasetError, match=message):
        read_peta(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no SUBSET/archive/Label.txt in"):
        read_peta(tmp_path, "all")
    write(tmp_path, "")
    with pytest.raises(UnknownSplitError, match="there is no table .*splits.csv"):
        read_peta(tmp_path, "test")
    with pytest.raises(DatasetError, match=r"label_columns names \['Hat'\], which nobody"):
        read_peta(tmp_path, "all", label_columns="Hat")
    with pytest.raises(DatasetError, match="no column 'video' of groups: give --group_column=pers"):
        read_peta(tmp_path, "all", group_column="video")
    for subset in SUBSETS:
        (tmp_path / "PETA dataset" / subset / "archive" / "Label.txt").write_text("7\n")
    with pytest.raises(DatasetError, match="name no attribute"):
        read_peta(tmp_path, "all")
