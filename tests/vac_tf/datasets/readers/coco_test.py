"""Tests of vac_tf/datasets/readers/coco.py, json_file.py and image_files.py."""

import json
import logging

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.coco import read_coco
from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.run_splits import read_run_split


def annotation(image_id, category_id, **changes):
    fields = {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [1, 2, 3, 4],
        "segmentation": [[1, 2, 4, 2, 4, 6]],
        "iscrowd": 0,
        "area": 6.0,
    }
    return fields | changes


def content(**changes):
    """Three images, the last without objects; category ids not in the order of the file."""
    fields = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (7, 3, 5)],
        "annotations": [
            annotation(3, 20),
            annotation(3, 20),
            annotation(7, 4, iscrowd=1, segmentation={"size": [8, 8], "counts": [64]}),
        ],
        "categories": [{"id": 20, "name": "dog"}, {"id": 4, "name": "cat"}],
    }
    return fields | changes


def write(folder, value, split="train", images=("7.jpg", "3.jpg", "5.jpg")):
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / split).mkdir(exist_ok=True)
    for name in images:
        (folder / split / name).write_bytes(b"")
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / "annotations" / f"instances_{split}.json").write_text(text)


def test_labels_by_category_id_and_every_image(tmp_path):
    write(tmp_path, content())
    split = read_coco(tmp_path, "train")
    assert split.label_names == ("cat", "dog")
    assert split.image_paths == tuple(str(tmp_path / "train" / f"{i}.jpg") for i in (7, 3, 5))
    # A crowd counts as presence, two objects of a category give 1, no object gives zeros.
    assert split.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert [len(objects) for objects in split.objects] == [1, 2, 0]
    crowd = split.objects[0][0]
    assert (crowd.category, crowd.is_crowd, crowd.box) == (0, True, (1, 2, 3, 4))
    assert crowd.segmentation == {"size": [8, 8], "counts": [64]}
    assert split.objects[1][0].segmentation == [[1, 2, 4, 2, 4, 6]]
    assert split.objects[1][0].area == 6.0
    assert read_coco(tmp_path, "train", with_objects=False).objects is None


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_official_layouts(tmp_path, caplog, year):
    write(tmp_path, content(), f"train{year}")
    with caplog.at_level(logging.WARNING):
        split = read_coco(tmp_path, "train")
    assert split.name == "train"
    assert f"3 images; the official train{year} has" in caplog.text
    np.testing.assert_array_equal(read_coco(tmp_path, f"train{year}").labels, split.labels)


def test_plain_names_give_no_warning(tmp_path, caplog):
    write(tmp_path, content())
    read_coco(tmp_path, "train")
    assert not caplog.records


def test_two_years_must_be_told_apart(tmp_path):
    write(tmp_path, content(), "val2014")
    write(tmp_path, content(), "val2017")
    with pytest.raises(DatasetError, match=r"ambiguous.*'val2017', 'val2014'"):
        read_coco(tmp_path, "val")
    assert len(read_coco(tmp_path, "val2014")) == 3


def test_ids_may_be_text(tmp_path):
    write(tmp_path, content())
    expected = read_coco(tmp_path, "train")
    texts = {"id": str, "image_id": str, "category_id": str}
    for changed in (texts, {"image_id": str}, {"id": str, "category_id": lambda i: f"0{i}"}):
        rows = {
            key: [{k: changed.get(k, lambda v: v)(v) for k, v in row.items()} for row in value]
            for key, value in content().items()
        }
        write(tmp_path, rows)
        split = read_coco(tmp_path, "train")
        # Categories in the order of their numbers: "4" before "20".
        assert split.label_names == expected.label_names
        assert split.image_paths == expected.image_paths
        assert split.labels.tolist() == expected.labels.tolist()


def test_ids_may_be_names(tmp_path):
    categories = [{"id": "k9", "name": "dog"}, {"id": 4, "name": "cat"}, {"id": "c", "name": "cow"}]
    images = [{"id": f"photo {i}", "file_name": f"{i}.jpg"} for i in (7, 3, 5)]
    annotations = [annotation("photo 3", "k9"), annotation("photo 7", 4)]
    write(tmp_path, content(categories=categories, images=images, annotations=annotations))
    split = read_coco(tmp_path, "train")
    assert split.label_names == ("cat", "cow", "dog")
    assert split.labels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_no_usable_image_says_why(tmp_path):
    write(tmp_path, content(images=[{"id": None, "file_name": "7.jpg"}] * 3, annotations=[]))
    with pytest.raises(DatasetError, match=r"no usable image among 3.*3 rows.*images\[0\]: .*`id`"):
        read_coco(tmp_path, "train", rejected=[])


BAD_ROWS = [
    ({"annotations": [annotation(99, 4)]}, r"annotations\[0\]: unknown image id 99", 3),
    ({"annotations": [annotation([3], 4)]}, r"annotations\[0\]: unknown image id \[3\]", 3),
    ({"annotations": [annotation(3, 99)]}, r"annotations\[0\]: unknown category id 99", 2),
    ({"annotations": [annotation(3, 4, bbox=[1, 2, 3])]}, r"annotations\[0\]: bbox must be", 2),
    ({"annotations": [annotation(3, 4, bbox=None)]}, r"annotations\[0\]: bbox must be", 2),
    (
        {"annotations": [annotation(3, 4, bbox=[1, 2, 10**400, 4])]},
        r"annotations\[0\]: bbox must be",
        2,
    ),
    (
        {"images": [{"id": i, "file_name": f"{i}.jpg"} for i in (7, 3, 3)]},
        r"images\[2\]: the same image twice: id 3",
        2,
    ),
    (
        {"images": [{"id": i, "file_name": f"{i % 5}.jpg"} for i in (3, 8, 7)], "annotations": []},
        r"images\[1\]: the same image twice: '3.jpg' is already images\[0\]",
        1,
    ),
    (
        {"images": [{"id": i, "file_name": f"{i}.jpg"} for i in (7, 3, 6)]},
        r"images\[2\]: image file .*6\.jpg is missing",
        2,
    ),
    (
        {"images": [{"id": 7, "file_name": "7.jpg"}, {"id": 3}], "annotations": []},
        r"images\[1\]: expected an `id` and a `file_name`",
        1,
    ),
]


@pytest.mark.parametrize(("changes", "message", "kept"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, changes, message, kept):
    write(tmp_path, content(**changes))
    with pytest.raises(DatasetError, match=f"instances_train.json, {message}"):
        read_coco(tmp_path, "train")
    rejected = []
    split = read_coco(tmp_path, "train", rejected=rejected)
    assert len(split) == kept
    assert message.split(":")[0].replace("\\", "") in [row.line for row in rejected]


def test_an_image_with_a_bad_annotation_is_left_out_whole(tmp_path):
    write(tmp_path, content(annotations=[annotation(3, 4), annotation(3, 99), annotation(7, 4)]))
    rejected = []
    split = read_coco(tmp_path, "train", rejected=rejected)
    assert split.image_paths == tuple(str(tmp_path / "train" / f"{i}.jpg") for i in (7, 5))
    assert [row.line for row in rejected] == ["annotations[1]"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, "no categories"),
        (
            {"categories": [{"id": 4, "name": "cat"}, {"id": 4, "name": "dog"}]},
            r"categories\[1\]: category id 4 or name 'dog' occurs twice",
        ),
        (
            {"categories": [{"id": 4, "name": "cat"}, {"id": 20, "name": "cat"}]},
            r"categories\[1\].*occurs twice",
        ),
        ({"categories": [{"id": [4], "name": "cat"}]}, r"categories\[0\]: expected an `id`"),
        ({"images": [], "annotations": []}, "no usable image"),
        ({"images": {}}, "'images' must be a list"),
    ],
)
def test_an_unusable_file_says_why(tmp_path, changes, message):
    write(tmp_path, content(**changes))
    with pytest.raises(DatasetError, match=message):
        read_coco(tmp_path, "train")


def test_json_cut_in_half_names_line_and_column(tmp_path):
    text = json.dumps(content(), indent=1)
    write(tmp_path, text[: len(text) // 2])
    last_line = text[: len(text) // 2].count("\n") + 1
    with pytest.raises(DatasetError, match=r"train.json, line \d+, column \d+: not valid") as info:
        read_coco(tmp_path, "train")
    line = int(str(info.value).split("line ")[1].split(",")[0])
    assert last_line - 1 <= line <= last_line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1"),
        ("[]", "got a list"),
        ("{}", r"keys \['images', 'annotations', 'categories'\] are missing"),
    ],
)
def test_json_of_another_shape(tmp_path, text, message):
    write(tmp_path, text)
    with pytest.raises(DatasetError, match=message):
        read_coco(tmp_path, "train")


def test_json_that_is_not_text(tmp_path):
    write(tmp_path, content())
    (tmp_path / "annotations" / "instances_train.json").write_bytes(b'{"images": "\xff"}')
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_coco(tmp_path, "train")


def test_missing_folders(tmp_path):
    with pytest.raises(DatasetError, match="is no folder"):
        read_coco(tmp_path / "nowhere", "train")
    with pytest.raises(DatasetError, match="No instances_"):
        read_coco(tmp_path, "train")
    write(tmp_path, content())
    with pytest.raises(DatasetError, match="Unknown split 'test'.*Found: train"):
        read_coco(tmp_path, "test")
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="No folder of images for split 'train'"):
        read_coco(tmp_path, "train")
    (tmp_path / "images").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "images" / "train")
    assert len(read_coco(tmp_path, "train")) == 3


def test_all_files_missing_is_no_empty_split(tmp_path):
    write(tmp_path, content(), images=())
    rejected = []
    with pytest.raises(DatasetError, match="no usable image among 3"):
        read_coco(tmp_path, "train", rejected=rejected)
    assert len(rejected) == 3


@pytest.mark.parametrize(("split", "count"), [("train", 96), ("val", 32)])
def test_coco128_equals_pycocotools(real_data, split, count):
    coco = pytest.importorskip("pycocotools.coco")
    folder = real_data("coco128")
    loaded = read_coco(folder, split)
    reference = coco.COCO(folder / "annotations" / f"instances_{split}2017.json")
    categories = sorted(reference.getCatIds())
    labels = np.zeros((count, len(categories)), np.float32)
    for row, path in enumerate(loaded.image_paths):
        image_id = int(path.rsplit("/", 1)[1].removesuffix(".jpg"))
        for item in reference.loadAnns(reference.getAnnIds(imgIds=image_id)):
            labels[row, categories.index(item["category_id"])] = 1
    assert loaded.labels.shape == (count, 80)
    np.testing.assert_array_equal(loaded.labels, labels)
    assert loaded.label_names == tuple(c["name"] for c in reference.loadCats(categories))
    assert sum(len(objects) for objects in loaded.objects) == len(reference.anns)


def test_a_looping_link_that_no_row_names_is_no_file(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    listings = FolderListings()
    assert listings.has_file(str(tmp_path / "photo.jpg"))
    assert not listings.has_file(str(tmp_path / "loop"))


def test_missing_files_are_kept_for_the_search_of_bad_images(tmp_path):
    write(tmp_path, content())
    whole = read_coco(tmp_path, "train").image_paths
    (tmp_path / "train" / "3.jpg").unlink()
    config = TrainConfig(dataset="coco", data_dir=str(tmp_path), skip_bad_images=True)
    assert len(whole) == 3 and read_run_split(config, "train").image_paths == whole
