"""The two layouts of SALICON: axis order, splits, and everything that can be wrong in the files."""

import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

from tests.vac_tf.fixation_files import (
    HEIGHT,
    WIDTH,
    random_looks,
    write_image,
    write_json,
    write_release,
)
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.run_splits import read_saliency_split
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.split import DatasetError

LOOKS = [
    (1, 10, [[1, 1], [HEIGHT, WIDTH]]),
    (1, 11, [[5, 60]]),
    (2, 10, [[48, 3], [48, 3], [7, 8]]),
]


def read_bad(folder, match):
    """The only split, read leniently, of a data set that must not be read strictly."""
    with pytest.raises(DatasetError, match=match):
        read_salicon(folder, "train")
    rejected = []
    split = read_salicon(folder, "train", rejected=rejected)
    assert rejected
    return split, [str(row) for row in rejected]


# ---- The fixation JSON


def test_fixations_are_rows_and_columns_from_zero(tmp_path):
    write_json(tmp_path, LOOKS)
    split = read_salicon(tmp_path, "train")
    assert len(split) == 2
    assert (split.name, split.dataset, split.image_ids) == ("train", "salicon", ("1", "2"))
    assert split.image_paths[0] == str(tmp_path / "images" / "0001.png")
    assert split.sizes.tolist() == [[HEIGHT, WIDTH]] * 2
    assert split.workers == ((10, 11), (10,))
    assert [points.tolist() for points in split.fixations[0]] == [
        [[0, 0], [HEIGHT - 1, WIDTH - 1]],
        [[4, 59]],
    ]
    assert split.points(1).tolist() == [[47, 2], [47, 2], [6, 7]]
    assert split.counts(1)[47, 2] == 2
    assert split.counts(0)[4, 59] == 1
    assert split.counts(0).sum() == 3


def test_selecting_keeps_images_with_their_fixations(tmp_path):
    write_json(tmp_path, random_looks(4))
    split = read_salicon(tmp_path, "train")
    chosen = split.select([3, 1])
    assert chosen.image_ids == ("3", "1")
    np.testing.assert_array_equal(chosen.points(0), split.points(3))
    assert split.select(np.array([False, True, False, True])).image_ids == ("1", "3")
    with pytest.raises(ValueError, match="at least one image"):
        split.select([])


OUTSIDE = [[0, 5], [5, 0], [HEIGHT + 1, 5], [5, WIDTH + 1], [-3, 5], [10**30, 5]]


@pytest.mark.parametrize("outside", OUTSIDE)
def test_a_fixation_outside_the_image(tmp_path, outside):
    write_json(tmp_path, [*LOOKS, (2, 12, [[5, 5], outside])])
    split, rejected = read_bad(tmp_path, r"annotations\[3\].*lies outside 0002.png.*\[48, 64\]")
    assert str(outside) in rejected[0]
    assert split.workers[1] == (10,)  # Only this annotation is left out.


def test_an_image_without_fixations(tmp_path):
    write_json(tmp_path, LOOKS, images=[1, 2, 3])
    split, _ = read_bad(tmp_path, r"images\[2\].*no fixations on 0003.png")
    assert split.image_ids == ("1", "2")


def test_an_image_whose_workers_fixated_nothing_has_no_fixations(tmp_path):
    write_json(tmp_path, [*LOOKS, (3, 10, []), (2, 13, [])])
    split, _ = read_bad(tmp_path, "no fixations on 0003.png")
    assert split.workers == ((10, 11), (10,))  # Worker 13 saw image 2 but fixated nothing.


def test_a_worker_listed_twice(tmp_path):
    write_json(tmp_path, [*LOOKS, (1, 11, [[9, 9]])])
    split, _ = read_bad(tmp_path, r"annotations\[3\]: worker 11 is listed twice for 0001.png")
    assert split.fixations[0][1].tolist() == [[4, 59]]


@pytest.mark.parametrize("fixations", [None, [[1.5, 2]], [[1, 2, 3]], "12", [[True, 2]], {"a": 1}])
def test_fixations_that_are_no_pairs_of_integers(tmp_path, fixations):
    write_json(tmp_path, [*LOOKS, (1, 12, fixations)])
    split, (reason,) = read_bad(tmp_path, "list of integer pairs")
    assert split.workers == ((10, 11), (10,)) and "annotations[3]" in reason


def test_ids_of_images_may_be_text(tmp_path):
    path = write_json(tmp_path, LOOKS)
    expected = read_salicon(tmp_path, "train")
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        row["image_id"] = f"0{row['image_id']}"
    path.write_text(json.dumps(content))
    split = read_salicon(tmp_path, "train")
    assert split.image_ids == expected.image_ids and split.workers == expected.workers
    content["annotations"][1]["image_id"] = [1]
    path.write_text(json.dumps(content))
    _, (reason,) = read_bad(tmp_path, r"annotations\[1\]: unknown image id \[1\]")
    assert "unknown image id [1]" in reason


@pytest.mark.parametrize("height", [0, -1, 2**31, 10**30, True, 1.5, None, "480"])
def test_a_side_that_no_image_has_is_refused(tmp_path, height):
    path = write_json(tmp_path, LOOKS, images=[1, 3, 2])
    content = json.loads(path.read_text())
    content["images"][0]["height"] = height
    path.write_text(json.dumps(content))
    split, (reason, *_) = read_bad(tmp_path, r"images\[0\]: height and width must be integers")
    assert "in 1..1000000" in reason and split.image_ids == ("2",)


def test_rows_of_images_are_counted_as_in_the_file(tmp_path):
    path = write_json(tmp_path, LOOKS, images=[1, 3, 2])
    content = json.loads(path.read_text())
    del content["images"][0]["height"]
    path.write_text(json.dumps(content))
    split, rejected = read_bad(tmp_path, r"images\[0\]: height and width")
    assert split.image_ids == ("2",)
    assert "images[1]: there are no fixations on 0003.png" in rejected[-1]


def test_rows_of_unknown_images_and_missing_files(tmp_path):
    path = write_json(tmp_path, [*LOOKS, (3, 1, [[1, 1]])])
    content = json.loads(path.read_text())
    content["annotations"][3]["image_id"] = 99
    path.write_text(json.dumps(content))
    _, rejected = read_bad(tmp_path, "unknown image id 99")
    assert len(rejected) == 2  # The row, and image 3, which has lost its fixations.
    write_json(tmp_path, LOOKS)
    (tmp_path / "images" / "0002.png").unlink()
    split, _ = read_bad(tmp_path, "0002.png is missing")
    assert split.image_ids == ("1",)


def test_splits_are_found_by_name_or_beginning(tmp_path):
    write_json(tmp_path, LOOKS, split="train2014")
    assert len(read_salicon(tmp_path, "train")) == 2
    with pytest.raises(DatasetError, match="Found splits: train2014"):
        read_salicon(tmp_path, "val")
    write_json(tmp_path, LOOKS, split="train2015")
    with pytest.raises(DatasetError, match="ambiguous"):
        read_salicon(tmp_path, "train")
    with pytest.raises(DatasetError, match="is no folder"):
        read_salicon(tmp_path / "absent", "train")


def test_damaged_files_are_named(tmp_path):
    path = write_json(tmp_path, LOOKS)
    path.write_text(path.read_text()[:100])
    with pytest.raises(DatasetError, match="fixations_train.json, line 1"):
        read_salicon(tmp_path, "train")
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(DatasetError, match="no usable image"):
        read_salicon(tmp_path, "train")


# ---- The release of 2017


def test_the_release_has_the_other_axis_order(tmp_path):
    write_json(tmp_path / "json", LOOKS)
    write_release(tmp_path / "mat", LOOKS)
    first, second = (read_salicon(tmp_path / name, "train") for name in ("json", "mat"))
    assert second.image_ids == first.image_ids
    assert second.workers == ((1, 2), (1,))
    for index in range(2):
        for ours, theirs in zip(second.fixations[index], first.fixations[index], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert second.map_paths[0].endswith("maps/train/COCO_train2014_000000000001.png")
    assert first.map_paths is None
    assert second.select([1]).map_paths == second.map_paths[1:]


def test_fixations_of_the_release_outside_the_image(tmp_path):
    write_release(tmp_path, [*LOOKS, (3, 1, [[WIDTH, HEIGHT]])])
    split, _ = read_bad(tmp_path, r"fixation \[48.0, 64.0\] lies outside.*\[64, 48\]")
    assert split.image_ids == ("1", "2")


def test_an_image_of_the_release_without_fixations(tmp_path):
    write_release(tmp_path, [*LOOKS, (3, 1, [])])
    split, _ = read_bad(tmp_path, "000000000003.mat: there are no fixations on this image")
    assert split.image_ids == ("1", "2")


@pytest.mark.parametrize(
    ("pixels", "match"),
    [
        (np.full((24, 64), 9, np.uint8), r"\(24, 64\) pixels.*the image \(48, 64\)"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), "all black"),
    ],
    ids=["size", "black"],
)
def test_a_map_of_another_size_or_all_black(tmp_path, pixels, match):
    write_release(tmp_path, LOOKS)
    bad = tmp_path / "maps" / "train" / "COCO_train2014_000000000002.png"
    Image.fromarray(pixels).save(bad)
    split, rejected = read_bad(tmp_path, match)
    assert split.image_ids == ("1",)
    assert str(bad) in rejected[0]


def test_missing_and_damaged_files_of_the_release(tmp_path):
    write_release(tmp_path, [*LOOKS, (3, 1, [[1, 1]]), (4, 1, [[1, 1]])])
    name = "COCO_train2014_00000000000"
    (tmp_path / "maps" / "train" / f"{name}2.png").write_bytes(b"\x89PNG")
    (tmp_path / "images" / "train" / f"{name}3.jpg").unlink()
    mat = tmp_path / "fixations" / "train" / f"{name}4.mat"
    mat.write_bytes(mat.read_bytes()[:200])
    split, rejected = read_bad(tmp_path, "cannot be read")
    assert split.image_ids == ("1",)
    assert "image is missing" in rejected[1]
    assert "not a readable MATLAB 5 file" in rejected[2]
    with pytest.raises(DatasetError, match="Found splits: train"):
        read_salicon(tmp_path, "val")


def test_the_release_is_read_in_time_proportional_to_its_images(tmp_path, monkeypatch):
    listed = []
    original = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or original(path))
    counts = []
    for count in (2, 9):
        folder = tmp_path / str(count)
        write_release(folder, [(image, 1, [[1, 1]]) for image in range(count)])
        listed.clear()
        assert len(read_salicon(folder, "train")) == count
        counts.append(sum("images" in path for path in listed))
    # Not once for each image: a listing takes time for each of its names.
    assert counts[0] == counts[1] >= 1


# ---- Real files


def test_official_example(real_data):
    split = read_salicon(real_data("salicon_examples"), "train")
    assert len(split) == 10
    assert sum(len(workers) for workers in split.workers) == 610
    assert sum(len(split.points(index)) for index in range(10)) == 73_630
    assert split.image_ids[0] == "123855"
    assert split.fixations[0][0][0].tolist() == [241, 313]  # [242, 314] in the file
    assert np.asarray(Image.open(split.image_paths[0])).shape == (480, 640, 3)


@pytest.mark.parametrize(("name", "images", "looks"), [("train", 500, 7500), ("val", 200, 3000)])
def test_osie(real_data, name, images, looks):
    split = read_salicon(real_data("osie_salicon"), name)
    assert len(split) == images
    assert sum(len(workers) for workers in split.workers) == looks
    assert all(size == [480, 640] for size in split.sizes.tolist())


def test_images_in_any_folder_of_images(tmp_path):
    write_json(tmp_path, LOOKS)
    (tmp_path / "images").rename(tmp_path / "moved")
    write_image(tmp_path / "images" / "a" / "other.png")
    (tmp_path / "moved").rename(tmp_path / "images" / "train2015r1-examples")
    assert "train2015r1" in read_salicon(tmp_path, "train").image_paths[1]


@pytest.mark.parametrize("write, name", [(write_json, "images/0002.png"), (write_release, None)])
def test_missing_files_are_kept_for_the_search_of_bad_images(tmp_path, write, name):
    write(tmp_path, LOOKS)
    path = tmp_path / (name or "images/train/COCO_train2014_000000000002.jpg")
    whole = read_salicon(tmp_path, "train").image_paths
    path.unlink()
    config = SaliencyConfig(dataset="salicon", data_dir=str(tmp_path), skip_bad_images=True)
    assert len(whole) == 2 and len(read_saliency_split(config, "train")) == 2
    with pytest.raises(DatasetError, match="missing"):
        read_saliency_split(dataclasses.replace(config, skip_bad_images=False), "train")
