"""Tests of vac_tf/datasets/split.py, boxes.py, description.py and of read_split."""

import math

import numpy as np
import pytest
from PIL import Image

from vac_tf.datasets import DatasetError, RejectedRow, Split, read_split
from vac_tf.datasets.description import describe
from vac_tf.datasets.split import ObjectAnnotation
from vac_tf.geometry.boxes import crop_boxes


def make_split(**changes) -> Split:
    """Three examples of labels a, b, c with boxes and one object each."""
    fields = {
        "image_paths": ("one.jpg", "two.jpg", "two.jpg"),
        "labels": np.array([[1, 0, math.nan], [0, 1, math.nan], [1, 1, 0]], np.float32),
        "label_names": ("a", "b", "c"),
        "boxes": np.array([[0, 0, 4, 4], [1, 1, 2, 3], [5, 5, 1, 1]], np.float64),
        "objects": tuple(
            (ObjectAnnotation(category, (0, 0, 1, 1), None, False, 1.0),) for category in (0, 1, 1)
        ),
        "name": "train",
        "dataset": "made",
    }
    return Split(**(fields | changes))


def test_arrays_are_copies_that_nobody_can_edit():
    boxes = np.array([[0.0, 0, 4, 4]])
    split = make_split(
        image_paths=("one.jpg",), labels=np.zeros((1, 3), np.float32), boxes=boxes, objects=None
    )
    boxes[0, 0] = 7
    assert split.boxes[0, 0] == 0
    for array in (split.boxes, split.labels, split.select([0]).boxes):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_paths": ()}, "at least one example"),
        ({"label_names": ("a", "b", "a")}, r"distinct, got more than once: \['a'\]"),
        ({"label_names": ("a", "b", " ")}, "non-empty strings"),
        ({"label_names": ()}, "at least one label"),
        ({"label_names": ("a", "b")}, r"shape \(3, 2\)"),
        ({"labels": np.zeros((3, 3))}, "float32"),
        ({"labels": np.full((3, 3), 2, np.float32)}, "0, 1 or NaN .*got 2.0 in row 0"),
        ({"labels": np.full((3, 3), np.inf, np.float32)}, "0, 1 or NaN"),
        ({"boxes": np.zeros((2, 4))}, r"shape \(3, 4\)"),
        ({"boxes": np.array([[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 1.0]])}, "in row 1"),
        ({"boxes": np.full((3, 4), np.nan)}, "finite"),
        ({"objects": ((), ())}, "objects of 3 examples, got 2"),
        (
            {"objects": ((), (), (ObjectAnnotation(3, (0, 0, 1, 1), None, False, 1.0),))},
            r"0\.\.2, got 3 in row 2",
        ),
    ],
)
def test_refuses_what_is_not_a_split(changes, message):
    with pytest.raises(ValueError, match=message):
        make_split(**changes)


def test_select_keeps_everything_aligned():
    split = make_split()
    chosen = split.select([2, 0])
    assert chosen.image_paths == ("two.jpg", "one.jpg")
    np.testing.assert_array_equal(chosen.labels, split.labels[[2, 0]])
    np.testing.assert_array_equal(chosen.boxes, split.boxes[[2, 0]])
    assert chosen.objects == (split.objects[2], split.objects[0])
    masked = split.select(np.array([True, False, True]))
    assert masked.image_paths == ("one.jpg", "two.jpg")


def test_examples_of_a_group_or_of_an_image_are_one_unit():
    def numbers(paths, groups=None):
        return Split(paths, np.ones((3, 1), np.float32), ("cat",), groups=groups).unit_numbers

    assert numbers(("b", "a", "c")) is None and numbers(("b", "a", "b"), ("x", "y", "z")) is None
    assert numbers(("b", "a", "b")).tolist() == [1, 0, 1]
    assert numbers(("b", "a", "c"), ("x", "y", "y")).tolist() == [0, 1, 1]


@pytest.mark.parametrize("indices", [[], [3], [-1], [0.5], [[0]], [True]])
def test_select_refuses_bad_indices(indices):
    with pytest.raises(ValueError, match=r"[Ii]nd"):
        make_split().select(indices)


def test_with_labels_moves_columns_and_object_categories_by_name():
    split = make_split()
    moved = split.with_labels(("c", "a", "b"))
    for old, name in enumerate(split.label_names):
        new = moved.label_names.index(name)
        np.testing.assert_array_equal(moved.labels[:, new], split.labels[:, old])
    names = [[split.label_names[o.category] for o in image] for image in split.objects]
    assert [[moved.label_names[o.category] for o in image] for image in moved.objects] == names
    back = moved.with_labels(split.label_names)
    np.testing.assert_array_equal(back.labels, split.labels)
    assert back.objects == split.objects


def test_with_labels_lists_missing_and_extra_names():
    with pytest.raises(ValueError, match=r"Missing here: \['d'\]. Not expected here: \['b'\]"):
        make_split().with_labels(("a", "c", "d"))


def test_positive_ratio_divides_by_all_or_by_the_known():
    split = make_split()
    np.testing.assert_allclose(split.positive_ratio("negative"), [2 / 3, 2 / 3, 0])
    np.testing.assert_array_equal(split.positive_ratio("release"), split.positive_ratio("negative"))
    np.testing.assert_allclose(split.positive_ratio("ignore"), [2 / 3, 2 / 3, 0])
    unknown = make_split(labels=np.array([[1, math.nan, 0]] * 2 + [[math.nan] * 3], np.float32))
    np.testing.assert_allclose(unknown.positive_ratio("ignore"), [1, 0, 0])
    np.testing.assert_allclose(unknown.positive_ratio("negative"), [2 / 3, 0, 0])
    with pytest.raises(ValueError, match="ignore, negative, release"):
        split.positive_ratio("maybe")


def test_crops_are_those_of_pillow():
    values = np.random.default_rng(0).integers(-8, 60, (300, 4)) / 4  # quarters, so with halves
    values[:, 2:] = np.abs(values[:, 2:]) + 1.25  # rounds to at least one pixel
    before = values.copy()
    image = Image.new("RGB", (12, 9), "white")
    for (x, y, w, h), crop in zip(values, crop_boxes(values), strict=True):
        expected = image.crop((x, y, x + w, y + h))
        left, top, right, bottom = crop.tolist()
        assert (right - left, bottom - top) == expected.size
        assert image.crop((left, top, right, bottom)).tobytes() == expected.tobytes()
    np.testing.assert_array_equal(values, before)


def test_a_crop_keeps_at_least_one_pixel():
    assert crop_boxes([[2.6, 2.6, 0.2, 0.2]]).tolist() == [[3, 3, 4, 4]]
    with pytest.raises(ValueError, match=r"\[N, 4\]"):
        crop_boxes([1, 2, 3, 4])


def test_read_split_names_what_is_known(tmp_path):
    with pytest.raises(DatasetError, match="Unknown dataset 'cocoa'. Known: scenes, coco, voc"):
        read_split("cocoa", tmp_path, "train")
    with pytest.raises(TypeError, match=r"\['label_seperator'\].*label_separator"):
        read_split("table", tmp_path, "train", label_seperator=",")


def test_read_split_ignores_options_of_other_datasets(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("image,cat\na.png,1\n")
    split = read_split("table", tmp_path, "train", image_size=96, seed=3, with_objects=True)
    assert split.label_names == ("cat",)


def test_a_rejected_row_says_where():
    assert str(RejectedRow("a.csv", 3, "why")) == "a.csv, line 3: why"
    assert str(RejectedRow("a.json", "images[3]", "why")) == "a.json, images[3]: why"
    assert str(RejectedRow("a.jpg", None, "why")) == "a.jpg: why"


def test_description_counts_and_names_what_is_unusual():
    labels = np.array([[1, 1, 0, math.nan]] * 3 + [[0, 0, 0, 1]] * 2 + [[1, 0, 0, 1]], np.float32)
    split = Split(
        image_paths=tuple(f"{i}.jpg" for i in range(6)),
        labels=labels,
        label_names=("sky", "cloud", "car", "dog"),
        name="train",
        dataset="made",
    )
    text = describe(split)
    assert "made train: 6 examples, 6 images, 4 labels" in text
    row = next(line for line in text.splitlines() if line.startswith("dog"))
    assert row.split()[1:] == ["3", "0", "3", "1.0000"]
    assert "labels without positives: car" in text
    assert "labels without negatives: dog" in text
    assert "most often together: sky and cloud, 3 examples, 2.0 if independent (lift 1.50)" in text
    assert "least often together: cloud and dog" not in text  # never positive where dog is known
    assert "least often together: sky and dog, 1 examples, 1.0 if independent" in text


def test_description_mentions_boxes_and_objects():
    text = describe(make_split())
    assert "3 examples, 2 images" in text
    assert "boxes: 3, side (square root of the area) 1 to 4 px" in text
    assert "objects: 3, of which 0 crowds" in text
