"""Tests of vac_tf/datasets/readers/pedestrians/pa100k.py."""

import logging

import numpy as np
import pytest
from scipy.io import savemat

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.pedestrians.pa100k import read_pa100k
from vac_tf.datasets.run_splits import read_run_split

LABELS = {
    "train": np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], np.uint8),
    "val": np.array([[0, 1, 0], [1, 1, 1]], np.uint8),
    "test": np.array([[0, 0, 0]], np.uint8),
}


def cells(values):
    """A MATLAB cell array of strings, as a column."""
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


def names(part):
    return [f"{part}{row}.jpg" for row in range(len(LABELS[part]))]


def write(folder, image_folder="data", annotation_folder="", **changes):
    content = {"attributes": cells(["Female", "Hat", "boots"])}
    for part, labels in LABELS.items():
        content |= {f"{part}_images_name": cells(names(part)), f"{part}_label": labels}
    content = {key: value for key, value in (content | changes).items() if value is not None}
    (folder / image_folder).mkdir(parents=True, exist_ok=True)
    (folder / annotation_folder).mkdir(exist_ok=True)
    for part in LABELS:
        for name in names(part):
            (folder / image_folder / name).write_bytes(b"")
    savemat(folder / annotation_folder / "annotation.mat", content)


@pytest.mark.parametrize(
    "image_folder",
    ["data", "release_data/release_data", "data/release_data/release_data", "release_data", ""],
)
def test_every_layout(tmp_path, image_folder):
    write(tmp_path, image_folder)
    split = read_pa100k(tmp_path, "train")
    assert split.label_names == ("Female", "Hat", "boots")
    assert split.image_paths == tuple(str(tmp_path / image_folder / n) for n in names("train"))
    np.testing.assert_array_equal(split.labels, LABELS["train"])


def test_trainval_is_train_then_val(tmp_path):
    write(tmp_path, annotation_folder="annotation")
    split = read_pa100k(tmp_path, "trainval")
    np.testing.assert_array_equal(split.labels, np.concatenate([LABELS["train"], LABELS["val"]]))
    assert [path.rsplit("/")[-1] for path in split.image_paths] == names("train") + names("val")
    assert len(read_pa100k(tmp_path, "test")) == 1


def test_warns_when_counts_differ(tmp_path, caplog):
    write(tmp_path)
    with caplog.at_level(logging.WARNING):
        read_pa100k(tmp_path, "trainval")
    assert "3 images; the official train has 80000" in caplog.text
    assert "2 images; the official val has 10000" in caplog.text


BAD_ROWS = [
    ({"train_label": LABELS["train"] * 2}, r"train_images_name\(1\): labels must be 0 or 1, got 2"),
    (
        {"train_images_name": cells(["train0.jpg", "train1.jpg", "train0.jpg"])},
        r"train_images_name\(3\): the same image twice: .*already train_images_name\(1\)",
    ),
    (
        {"train_images_name": cells(["train0.jpg", "gone.jpg", "train2.jpg"])},
        r"train_images_name\(2\): image file .*gone.jpg is missing",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(DatasetError, match=f"annotation.mat, {message}"):
        read_pa100k(tmp_path, "train")
    rejected = []
    split = read_pa100k(tmp_path, "trainval", rejected=rejected)
    assert len(split) + len(rejected) == 5
    assert message.split(":")[0].replace("\\", "") in [row.line for row in rejected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": None}, "no variable 'attributes'. Found"),
        ({"train_images_name": None}, "no variable 'train_images_name'"),
        ({"train_label": None}, r"'train_label' must be a numeric matrix of shape \(3, 3\)"),
        ({"train_label": LABELS["train"][:, :2]}, r"of shape \(3, 3\).*got uint8 \(3, 2\)"),
        ({"attributes": np.arange(3.0)}, "'attributes' must be a non-empty cell array of strings"),
    ],
)
def test_an_unusable_file_says_why(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(DatasetError, match=message):
        read_pa100k(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="Known: train, val, trainval, test"):
        read_pa100k(tmp_path, "dev")
    with pytest.raises(DatasetError, match="no annotation.mat"):
        read_pa100k(tmp_path, "train")
    write(tmp_path)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="none of the images 'train0.jpg'"):
        read_pa100k(tmp_path, "train")


@pytest.mark.parametrize("length", [0, 60, 200, 400])
def test_a_damaged_matlab_file(tmp_path, length):
    write(tmp_path)
    file = tmp_path / "annotation.mat"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(DatasetError, match="annotation.mat"):
        read_pa100k(tmp_path, "train")


def test_missing_files_are_kept_for_the_search_of_bad_images(tmp_path):
    write(tmp_path)
    whole = read_pa100k(tmp_path, "train").image_paths
    (tmp_path / "data" / "train1.jpg").unlink()
    config = TrainConfig(dataset="pa100k", data_dir=str(tmp_path), skip_bad_images=True)
    assert len(whole) == 3 and read_run_split(config, "train").image_paths == whole
