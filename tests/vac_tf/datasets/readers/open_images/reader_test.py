"""Tests of vac_tf/datasets/readers/open_images."""

import logging

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError, read_split
from vac_tf.datasets.readers.open_images import reader
from vac_tf.datasets.readers.open_images.reader import read_open_images
from vac_tf.datasets.run_splits import read_run_split

CLASSES = '/m/01yrx,Cat\n/m/0bt9lr,Dog\n/m/0h8,"Wine, red"\n'
ROWS = [
    "000a,verification,/m/01yrx,1",
    "000b,verification,/m/0bt9lr,0",
    "000a,crowdsource-verification,/m/0bt9lr,0",
    "000c,verification,/m/0h8,1",
]
NAN = np.nan
LABELS = [[1, 0, NAN], [NAN, 0, NAN], [NAN, NAN, 1]]
FILE = "oidv6-train-annotations-human-imagelabels.csv"


def write(folder, rows=ROWS, classes=CLASSES, file=FILE, images="train"):
    for name in (folder / file, folder / images / "a"):
        name.parent.mkdir(parents=True, exist_ok=True)
    (folder / "class-descriptions.csv").write_text(classes)
    (folder / file).write_text("\n".join(["ImageID,Source,LabelName,Confidence", *rows]) + "\n")
    for name in ("000a", "000b", "000c"):
        (folder / images / f"{name}.jpg").write_bytes(b"")


def test_labels_without_a_row_are_unknown(tmp_path):
    write(tmp_path)
    split = read_split("open_images", tmp_path, "train", soft_labels=False)
    assert split.label_names == ("Cat", "Dog", "Wine, red")
    assert split.image_paths == tuple(str(tmp_path / "train" / f"000{c}.jpg") for c in "abc")
    np.testing.assert_array_equal(split.labels, np.float32(LABELS))


@pytest.mark.parametrize("images", ["validation", "val", "validation/data", "images/val", "images"])
@pytest.mark.parametrize(
    "file",
    [
        "validation-annotations-human-imagelabels-boxable.csv",
        "labels/oidv7-val-annotations-human-imagelabels.csv",
        "validation/labels/classifications.csv",
    ],
)
def test_every_layout_and_both_names_of_validation(tmp_path, file, images):
    write(tmp_path, file=file, images=images)
    for name in ("val", "validation"):
        assert read_open_images(tmp_path, name).image_paths[2] == str(
            tmp_path / images / "000c.jpg"
        )


def test_classes_with_a_header_and_repeated_names(tmp_path):
    write(tmp_path, classes="LabelName,DisplayName\n/m/01yrx,Cat\n/m/0bt9lr,Cat\n/m/0h8,Wine\n")
    names = read_open_images(tmp_path, "train").label_names
    assert names == ("Cat (/m/01yrx)", "Cat (/m/0bt9lr)", "Wine")


@pytest.mark.parametrize("wanted", ['"Wine, red",Cat', "/m/0h8,/m/01yrx"])
def test_labels_can_be_named(tmp_path, wanted):
    write(tmp_path)
    config = TrainConfig(dataset="open_images", data_dir=str(tmp_path), label_columns=wanted)
    split = read_run_split(config, "train")
    assert split.label_names == ("Cat", "Wine, red")
    # An image of which nothing is known of these is no example.
    np.testing.assert_array_equal(split.labels, np.float32([[1, NAN], [NAN, 1]]))


def test_rows_that_disagree_are_unknown_and_counted(tmp_path, caplog):
    repeated = ["000a,crowd,/m/01yrx,0", "000c,crowd,/m/0h8,1", "000a,crowd,/m/01yrx,1"]
    write(tmp_path, [*ROWS, *repeated])
    with caplog.at_level(logging.WARNING):
        labels = read_open_images(tmp_path, "train").labels
    np.testing.assert_array_equal(labels, np.float32([[NAN, 0, NAN], *LABELS[1:]]))
    assert "1 labels have rows that disagree" in caplog.text


def test_labels_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(reader, "_MOST_BYTES", 35)
    with pytest.raises(DatasetError, match="3 images with 3 labels take .*--label_columns"):
        read_open_images(tmp_path, "train")


BAD_ROWS = [
    ("000a,machine,/m/0h8,0.7", "line 6: Confidence must be 0 or 1, got '0.7'"),
    (",verification,/m/0h8,1", "line 6: ImageID must be an id, got ''"),
    ("../a,verification,/m/0h8,1", "line 6: ImageID must be an id, got '../a'"),
    ("000a,/m/0h8,1", "line 6: 3 cells, but there are 4 columns"),
    ("gone,verification,/m/0h8,1", "line 6: image file .*gone.jpg is missing"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, row, message):
    write(tmp_path, [*ROWS, row])
    with pytest.raises(DatasetError, match=f"{FILE}, {message}"):
        read_open_images(tmp_path, "train")
    rejected = []
    assert len(read_open_images(tmp_path, "train", rejected=rejected)) == 3
    assert [each.line for each in rejected] == [6]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("", "names no class"),
        ("/m/01yrx\n", "line 1: expected an id and a name, got '/m/01yrx'"),
        (CLASSES + "/m/0h8,Wine\n", "line 4: class /m/0h8 occurs twice"),
        ("/m/other,Other\n", "says nothing of the 1 classes"),
    ],
)
def test_unusable_classes_say_why(tmp_path, classes, message):
    write(tmp_path, classes=classes)
    with pytest.raises(DatasetError, match=message):
        read_open_images(tmp_path, "train")


def test_what_is_missing_or_twice_is_named(tmp_path):
    with pytest.raises(DatasetError, match="is no folder"):
        read_open_images(tmp_path / "typo", "train")
    with pytest.raises(UnknownSplitError, match="Found: none"):
        read_open_images(tmp_path, "train")
    write(tmp_path)
    with pytest.raises(UnknownSplitError, match=f"no test-annotations.*Found: {FILE}"):
        read_open_images(tmp_path, "test")
    with pytest.raises(DatasetError, match=r"label_columns names \['Cow'\], which are no classes"):
        read_open_images(tmp_path, "train", label_columns="Cow")
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="no folder of images of split 'train'"):
        read_open_images(tmp_path, "train")
    (tmp_path / FILE).write_text("ImageID,LabelName\n")
    with pytest.raises(DatasetError, match=r"has no columns \['Confidence'\]"):
        read_open_images(tmp_path, "train")
    (tmp_path / "train-annotations-human-imagelabels.csv").write_text("")
    with pytest.raises(DatasetError, match="Several files have labels of 'train'"):
        read_open_images(tmp_path, "train")
    (tmp_path / "train-annotations-human-imagelabels.csv").unlink()
    (tmp_path / "class-descriptions-boxable.csv").write_text(CLASSES)
    with pytest.raises(DatasetError, match="Several files name the classes"):
        read_open_images(tmp_path, "train")
    for path in tmp_path.glob("class*"):
        path.unlink()
    with pytest.raises(DatasetError, match="no file of classes"):
        read_open_images(tmp_path, "train")
