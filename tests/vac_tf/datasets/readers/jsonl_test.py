"""JSON Lines: what a line may hold, and what is said of one that cannot be used."""

import json

import numpy as np
import pytest

from vac_tf.datasets import DatasetError, Split, read_split
from vac_tf.datasets.readers.jsonl import write_jsonl


def write(folder, name, *rows):
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("image"), str):
            (folder / row["image"]).touch()
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_labels_are_present_unknown_or_absent(tmp_path):
    write(
        tmp_path,
        "train",
        {"image": "a.jpg", "labels": ["dog"]},
        "",
        {"image": "ü 🐈.jpg", "labels": [], "unknown": ["dog"]},
    )
    write(tmp_path, "test", {"image": "c.jpg", "labels": ['<b>"cat"</b>']})
    split = read_split("jsonl", tmp_path, "train", seed=3)
    assert split.label_names == ('<b>"cat"</b>', "dog")
    np.testing.assert_array_equal(split.labels, [[0, 1], [0, np.nan]])
    assert split.image_paths == tuple(str(tmp_path / name) for name in ("a.jpg", "ü 🐈.jpg"))
    (tmp_path / "labels.txt").write_text("dog\nbird\n")
    assert read_split("jsonl", tmp_path, "train").label_names == ("dog", "bird")


@pytest.mark.parametrize("boxes", [None, np.array([[0, 1, 2, 3.5]] * 3)])
def test_what_is_written_is_read_again(tmp_path, boxes):
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path in paths:
        path.touch()
    labels = np.array([[0, 1], [np.nan, 0], [1, np.nan]], np.float32)
    split = Split(paths, labels, ("b", "a"), boxes)
    write_jsonl(split, tmp_path / "val.jsonl")
    read = read_split("jsonl", tmp_path, "val")
    assert (read.image_paths, read.label_names) == (split.image_paths, split.label_names)
    np.testing.assert_array_equal(read.labels, labels)
    np.testing.assert_array_equal(read.boxes, boxes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected an object, got '.1.'"),
        ({"labels": ["cat"]}, "`image` must be the path of an image"),
        ({"image": "a.jpg"}, "`labels` must be a list of names, got null"),
        ({"image": "a.jpg", "labels": [3]}, "`labels` must be a list of names"),
        ({"image": "a.jpg", "labels": ["cow"]}, "'cow' is no label of labels.txt"),
        ({"image": "a.jpg", "labels": ["cat"], "unknown": ["cat"]}, "both present and unknown"),
        ({"image": "a.jpg", "labels": [], "box": [1, 2, 0, 4]}, "`box` must be .x, y, width"),
        ('{"image": "absent.jpg", "labels": []}', "image file .*absent.jpg is missing"),
    ],
)
def test_a_bad_line_is_named(tmp_path, row, message):
    (tmp_path / "labels.txt").write_text("cat\n")
    write(tmp_path, "train", {"image": "good.jpg", "labels": ["cat"]}, row)
    with pytest.raises(DatasetError, match=f"train.jsonl, line 2: .*{message}"):
        read_split("jsonl", tmp_path, "train")
    rejected = []
    assert len(read_split("jsonl", tmp_path, "train", rejected=rejected)) == 1
    assert [rejection.line for rejection in rejected] == [2]


def test_absent_files_and_empty_ones(tmp_path):
    with pytest.raises(DatasetError, match="There is no folder .*nowhere"):
        read_split("jsonl", tmp_path / "nowhere", "train")
    write(tmp_path, "train", {"image": "a.jpg", "labels": []})
    with pytest.raises(DatasetError, match="Unknown split 'test'.*there is train"):
        read_split("jsonl", tmp_path, "test")
    with pytest.raises(DatasetError, match="No label in the .jsonl files"):
        read_split("jsonl", tmp_path, "train")
    (tmp_path / "labels.txt").write_text("a\na\n")
    with pytest.raises(DatasetError, match="names no label, or one twice"):
        read_split("jsonl", tmp_path, "train")
    (tmp_path / "labels.txt").write_text("a\n")
    write(tmp_path, "train", "")
    with pytest.raises(DatasetError, match="has no usable line"):
        read_split("jsonl", tmp_path, "train")
