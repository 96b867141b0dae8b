"""The table of objects, on drawn images, generated scenes and real photographs."""

import csv
import dataclasses

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from vac_tf.analysis.objects.masks import mask_quantities
from vac_tf.analysis.objects.table import count_objects, object_table, write_object_table
from vac_tf.datasets import DatasetError, Split, read_split
from vac_tf.datasets.split import ObjectAnnotation

HEIGHT, WIDTH = 40, 60


def box(x, y, width, height, category=0, is_crowd=False):
    return ObjectAnnotation(category, (x, y, width, height), None, is_crowd, width * height)


@pytest.fixture
def split(tmp_path):
    """Three images: a central and a corner object; a crowd and one of no pixels; none."""
    paths = [str(tmp_path / f"{index}.png") for index in range(3)]
    for path in paths:
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    objects = (
        (box(20, 10, 20, 20), box(0, 0, 6, 4, category=1)),
        (box(0, 0, 30, 30, is_crowd=True), box(100, 100, 5, 5)),
        (),
    )
    labels = np.array([[1, 1], [1, 0], [0, 0]], np.float32)
    return Split(paths, labels, ("dog", "tie"), objects=objects)


PREDICTED = np.array([[True, False], [False, True], [False, False]])


def test_quantities_of_drawn_objects(split):
    table = object_table(split, PREDICTED)
    assert len({len(column) for column in table.values()}) == 1
    np.testing.assert_array_equal(table["image"], [0, 0, 1, 1])
    np.testing.assert_array_equal(table["object"], [0, 1, 0, 1])
    assert table["category"].tolist() == ["dog", "tie", "dog", "dog"]
    assert table["found"].tolist() == [True, False, False, False]
    np.testing.assert_allclose(table["size"], np.array([400, 24, 900, 0]) / 2400)
    # The corner object's centroid is (3, 2); the centre (30, 20); half the diagonal is the rest.
    corner = np.hypot(27, 18) / (np.hypot(60, 40) / 2)
    np.testing.assert_allclose(table["distance"][:2], [0, corner], atol=1e-12)
    assert np.isnan(table["distance"][3])
    assert table["touches_border"].tolist() == [False, True, True, False]
    assert table["left_out"].tolist() == ["", "", "crowd", "no pixels"]
    assert "predicted_saliency" not in table and "true_saliency" not in table


def test_crowds_are_used_on_request(split):
    table = object_table(split, PREDICTED, include_crowds=True)
    assert table["left_out"].tolist() == ["", "", "", "no pixels"]
    assert count_objects(split).tolist() == [2, 1, 0]
    assert count_objects(split, include_crowds=True).tolist() == [2, 2, 0]


def test_saliency_is_the_largest_scaled_value_inside_the_mask(split):
    ramp = np.tile(np.arange(WIDTH, dtype=np.float32), (HEIGHT, 1))
    table = object_table(
        split,
        PREDICTED,
        predicted_saliency=lambda index: 7 + 3 * ramp,
        true_saliency=lambda index: ramp if index == 0 else None,
    )
    # The central object ends before column 40, the corner before 6, the crowd before 30.
    expected = np.array([39, 5, 29, np.nan]) / (WIDTH - 1)
    np.testing.assert_allclose(table["predicted_saliency"], expected, rtol=1e-6)
    np.testing.assert_allclose(table["true_saliency"], [*expected[:2], np.nan, np.nan], rtol=1e-6)


def test_small_maps_are_enlarged(split):
    hot_corner = np.zeros((4, 6), np.float32)
    hot_corner[0, 0] = 5
    saliency = object_table(split, PREDICTED, lambda index: hot_corner)["predicted_saliency"]
    assert saliency[0] == 0 and saliency[1] == 1


def test_a_constant_map_says_nothing(split):
    table = object_table(split, PREDICTED, lambda index: np.full((4, 4), 0.3))
    assert np.isnan(table["predicted_saliency"]).all()


@pytest.mark.parametrize("values", [np.zeros((2, 2, 1)), np.array([[0, np.nan]])])
def test_maps_that_are_none_are_refused(split, values):
    with pytest.raises(ValueError, match=r"predicted_saliency of .*0\.png must be a finite map"):
        object_table(split, PREDICTED, lambda index: values)


def test_the_scale_of_the_picture_does_not_matter():
    mask = np.random.default_rng(0).random((23, 31)) < 0.2
    large = mask_quantities(np.kron(mask, np.ones((2, 2), bool)))
    assert large == pytest.approx(mask_quantities(mask), rel=1e-12)
    assert mask_quantities(mask[::-1, ::-1]) == pytest.approx(mask_quantities(mask), rel=1e-12)


def test_damaged_masks_are_named(split):
    damaged = dataclasses.replace(split.objects[0][1], segmentation=[[1, 2, 3]])
    objects = ((split.objects[0][0], damaged), *split.objects[1:])
    with pytest.raises(DatasetError, match=r"0\.png, object 1 \(tie\): Polygon 0"):
        object_table(dataclasses.replace(split, objects=objects), PREDICTED)


def test_what_has_no_objects_is_refused(split, tmp_path):
    without = dataclasses.replace(split, objects=None)
    with pytest.raises(DatasetError, match="no annotated objects"):
        object_table(without, PREDICTED)
    with pytest.raises(DatasetError, match="no annotated objects"):
        count_objects(without)
    crops = dataclasses.replace(split, boxes=np.tile([0.0, 0, 5, 5], (3, 1)))
    with pytest.raises(DatasetError, match="crops"):
        object_table(crops, PREDICTED)
    with pytest.raises(ValueError, match="must be bool of shape"):
        object_table(split, PREDICTED[:2])
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"size of image .*1\.png"):
        object_table(split, PREDICTED)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_written_tables_hold_the_same(split, tmp_path, suffix):
    table = object_table(split, PREDICTED, lambda index: np.eye(4))
    path = tmp_path / f"objects{suffix}"
    write_object_table(str(path), table)
    if suffix == ".csv":
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        missing = ""
    else:
        rows = pyarrow.parquet.read_table(path).to_pylist()
        missing = None
    assert list(rows[0]) == list(table)
    for name in ("size", "predicted_saliency"):
        written = [float("nan" if row[name] in ("", None) else row[name]) for row in rows]
        np.testing.assert_array_equal(written, table[name])
    assert rows[3]["distance"] == missing
    assert [row["category"] for row in rows] == table["category"].tolist()
    assert [path.name for path in tmp_path.glob("objects*")] == [f"objects{suffix}"]
    with pytest.raises(ValueError, match="ends in .csv or .parquet"):
        write_object_table(str(tmp_path / "objects.xlsx"), table)


def test_scenes_agree_with_their_annotations(tmp_path):
    scenes = read_split("scenes", tmp_path, "val", image_size=48, train_images=60)
    table = object_table(scenes, scenes.labels == 1)
    annotated = [item.area for objects in scenes.objects for item in objects]
    np.testing.assert_array_equal(table["area"], annotated)
    np.testing.assert_allclose(table["size"], table["area"] / 48**2)
    assert table["found"].all() and len(table["image"]) == count_objects(scenes).sum()


def test_real_photographs(real_data):
    coco = read_split("coco", real_data("coco128"), "train")
    table = object_table(coco, coco.labels == 1)
    annotated = np.array([item.area for objects in coco.objects for item in objects])
    assert len(annotated) == len(table["area"]) > 500
    # The annotated area is that of the polygons, before they become pixels.
    close = np.abs(table["area"] - annotated) <= 10 + 0.1 * annotated
    assert close.mean() > 0.99
    assert (table["left_out"] == "crowd").sum() == table["is_crowd"].sum() > 0
    used = table["left_out"] == ""
    assert (table["distance"][used] <= 1).all() and (table["size"][used] > 0).all()
