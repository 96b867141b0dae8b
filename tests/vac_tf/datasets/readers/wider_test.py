"""Tests of vac_tf/datasets/readers/wider.py."""

import copy
import json
import logging
import math

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.wider import read_wider
from vac_tf.datasets.run_splits import read_run_split

# Ids as text and out of order, two digits included: sorting them as text would be wrong.
ATTRIBUTES = {"10": "hat", "2": "male", "1": "long hair"}


def person(*attribute, bbox=(1.5, 2, 3, 4)):
    return {"attribute": list(attribute), "bbox": list(bbox)}


IMAGES = [
    {"file_name": "train/0--Parade/a.jpg", "targets": [person(1, -1, 0), person(0, 0, 1)]},
    {"file_name": "val/1--Riot/b.jpg", "targets": [person(-1, -1, -1, bbox=(-5, -2.5, 900, 4))]},
    {"file_name": "train/1--Riot/c.jpg", "targets": [person(1, 1, 1, bbox=(5000, 1, 2, 2))]},
]


def write(folder, images=IMAGES, annotation_folder="wider_attribute_annotation", part="trainval"):
    (folder / annotation_folder).mkdir(exist_ok=True)
    for image in IMAGES:
        path = folder / "Image" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    content = {"images": images, "attribute_id_map": ATTRIBUTES, "scene_id_map": {}}
    file = folder / annotation_folder / f"wider_attribute_{part}.json"
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("place", ["", "wider_attribute_annotation", "Annotation", "Annotations"])
def test_one_example_per_person(tmp_path, place):
    write(tmp_path, annotation_folder=place)
    split = read_wider(tmp_path, "trainval")
    assert split.label_names == ("long hair", "male", "hat")
    nan = math.nan
    expected = [[1, 0, nan], [nan, nan, 1], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_array_equal(split.labels, np.array(expected, np.float32))
    assert split.boxes.tolist() == [
        [1.5, 2, 3, 4],
        [1.5, 2, 3, 4],
        [-5, -2.5, 900, 4],  # sticks out: kept as it is
        [5000, 1, 2, 2],  # lies outside: kept as it is
    ]
    assert split.image_paths[0] == split.image_paths[1]
    assert split.image_paths[2] == str(tmp_path / "Image" / "val/1--Riot/b.jpg")


def test_train_and_val_divide_trainval(tmp_path):
    write(tmp_path)
    train, val = read_wider(tmp_path, "train"), read_wider(tmp_path, "val")
    assert [path[-5:] for path in train.image_paths] == ["a.jpg", "a.jpg", "c.jpg"]
    assert [path[-5:] for path in val.image_paths] == ["b.jpg"]


def test_policies_of_the_positive_ratio(tmp_path):
    write(tmp_path)
    split = read_wider(tmp_path, "trainval")
    np.testing.assert_allclose(split.positive_ratio("release"), [2 / 4, 1 / 4, 2 / 4])
    np.testing.assert_allclose(split.positive_ratio("ignore"), [2 / 3, 1 / 3, 2 / 3])


@pytest.mark.parametrize(("part", "official"), [("trainval", 28345), ("test", 29179)])
def test_warns_when_counts_differ(tmp_path, caplog, part, official):
    write(tmp_path, part=part)
    with caplog.at_level(logging.WARNING):
        read_wider(tmp_path, part)
    assert f"4 boxes; the official {part} has {official}" in caplog.text


def changed(index, target=None, **fields):
    images = copy.deepcopy(IMAGES)
    if target is None:
        images[index].update(fields)
    else:
        images[index]["targets"][target].update(fields)
    return images


BAD_ROWS = [
    (changed(0, 1, attribute=[1, 2, 0]), r"images\[0\].targets\[1\]: .* 1, -1 or 0, got 2", 3),
    (changed(0, 1, attribute=[1, math.nan, 0]), r"images\[0\].targets\[1\]: .* got nan", 3),
    (changed(0, 1, attribute=[1, 0]), r"images\[0\].targets\[1\]: attribute must list 3", 3),
    (changed(0, 0, bbox=[0, 0, 0, 5]), r"images\[0\].targets\[0\]: .*positive area", 3),
    (changed(0, 0, bbox=[0, 0, 5, -1]), r"images\[0\].targets\[0\]: .*positive area", 3),
    (changed(0, 0, bbox=[0, 0, "1", 5]), r"images\[0\].targets\[0\]: bbox must be", 3),
    (changed(0, 0, bbox=None), r"images\[0\].targets\[0\]: bbox must be", 3),
    (changed(0, 0, bbox=[0, 0, 10**400, 5]), r"images\[0\].targets\[0\]: bbox must be", 3),
    (changed(0, file_name="train/x.jpg"), r"images\[0\]: image file .*x.jpg is missing", 2),
    (changed(2, file_name=IMAGES[0]["file_name"]), r"images\[2\]: the same image twice", 3),
    (changed(2, file_name=None), r"images\[2\]: expected an object with `file_name`", 3),
    (changed(2, targets=None), r"images\[2\]: expected an object with `file_name`", 3),
]


@pytest.mark.parametrize(("images", "message", "kept"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, images, message, kept):
    write(tmp_path, images)
    with pytest.raises(DatasetError, match=f"wider_attribute_trainval.json, {message}"):
        read_wider(tmp_path, "trainval")
    rejected = []
    assert len(read_wider(tmp_path, "trainval", rejected=rejected)) == kept
    assert [row.line for row in rejected] == [message.split(":")[0].replace("\\", "")]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="Known: train, val, trainval, test"):
        read_wider(tmp_path, "dev")
    with pytest.raises(DatasetError, match="is no folder"):
        read_wider(tmp_path / "nowhere", "test")
    with pytest.raises(DatasetError, match="no folder of images .*Image"):
        read_wider(tmp_path, "test")
    write(tmp_path)
    with pytest.raises(DatasetError, match="no wider_attribute_test.json in any of"):
        read_wider(tmp_path, "test")
    write(tmp_path, [])
    with pytest.raises(DatasetError, match="no usable person box for split 'val'"):
        read_wider(tmp_path, "val")


@pytest.mark.parametrize("attribute_id_map", [[], {"one": "hat"}, {}, {"1": "hat", "2": "hat"}])
def test_attribute_id_map_must_be_usable(tmp_path, attribute_id_map):
    write(tmp_path)
    file = tmp_path / "wider_attribute_annotation" / "wider_attribute_trainval.json"
    file.write_text(json.dumps({"images": IMAGES, "attribute_id_map": attribute_id_map}))
    with pytest.raises(DatasetError, match="attribute_id_map must"):
        read_wider(tmp_path, "train")


def test_json_cut_in_half(tmp_path):
    write(tmp_path)
    file = tmp_path / "wider_attribute_annotation" / "wider_attribute_trainval.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(DatasetError, match="trainval.json, line 1, column"):
        read_wider(tmp_path, "train")


def test_missing_files_are_kept_for_the_search_of_bad_images(tmp_path):
    write(tmp_path)
    path = tmp_path / "Image" / IMAGES[0]["file_name"]
    whole = read_wider(tmp_path, "trainval").image_paths
    path.unlink()
    config = TrainConfig(dataset="wider", data_dir=str(tmp_path), skip_bad_images=True)
    assert str(path) in whole and read_run_split(config, "trainval").image_paths == whole
