"""Where heatmaps look on drawn images: maps of known places, what is left out, the words."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vac_tf.analysis.objects.localization import CENTRE, localization
from vac_tf.analysis.objects.localization_section import localization_section
from vac_tf.datasets import DatasetError, Split
from vac_tf.datasets.split import ObjectAnnotation

HEIGHT, WIDTH = 80, 120
GRID = 8, 12  # A cell is 10 pixels.


def box(x, y, width, height, category=0, is_crowd=False):
    return ObjectAnnotation(category, (x, y, width, height), None, is_crowd, width * height)


@pytest.fixture
def split(tmp_path):
    """A corner object in each of five images; beside it a crowd, and an object off the image."""
    paths = [str(tmp_path / f"{index}.png") for index in range(5)]
    for path in paths:
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    objects = [(box(0, 0, 20, 20),)] * 3
    objects += [(box(0, 0, 20, 20), box(0, 0, 90, 70, category=1, is_crowd=True))]
    objects += [(box(0, 0, 20, 20), box(500, 0, 5, 5, category=1))]
    labels = np.array([[1, 0]] * 3 + [[1, 1]] * 2, np.float32)
    return Split(paths, labels, ("dog", "tie"), objects=tuple(objects))


def cells(rows, columns):
    heatmap = np.full(GRID, -1.0, np.float32)
    heatmap[rows, columns] = 1.0
    return lambda image, label: heatmap


MAPS = {"right": cells(slice(0, 2), slice(0, 2)), "wrong": cells(slice(6, 8), slice(10, 12))}


def test_maps_of_known_places(split):
    result = localization(split, MAPS, samples=20)
    assert result["pairs"] == 5 and result["images"] == 5
    assert result["pairs_with_crowds"] == result["pairs_without_pixels"] == 1
    assert result["mask_share"] == pytest.approx(400 / (HEIGHT * WIDTH))
    right, wrong, centre = (result["models"][name] for name in ("right", "wrong", CENTRE))
    assert right["pointing_game"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert wrong["pointing_game"]["mean"] == centre["pointing_game"]["mean"] == 0.0
    assert right["energy_inside"]["mean"] > 0.8 and wrong["energy_inside"]["mean"] == 0.0
    for name in ("max_box_accuracy", "pixel_average_precision"):
        assert right[name] > 0.9 and wrong[name] < 0.2
    assert "insertion" not in right


def test_insertion_and_deletion_of_the_first_images(split):
    image = np.zeros((16, 24, 3), np.float32)
    image[:4, :4] = 255.0

    def inputs(index):
        return image, lambda label, images: images[:, :4, :4].mean(axis=(1, 2, 3)) / 255

    result = localization(split, MAPS, 20, causal=dict.fromkeys(MAPS, inputs), causal_images=2)
    right, wrong = (result["models"][name] for name in MAPS)
    assert right["causal_pairs"] == 2
    assert right["insertion"] > wrong["insertion"] and right["deletion"] < wrong["deletion"]
    (table,) = localization_section(result).tables
    assert table.header[-2:] == ["insertion", "deletion"] and "of 2 labels" in table.caption
    assert table.rows[2][0] == CENTRE and table.rows[2][-1] == "–"


def test_words_say_which_way_and_only_where_it_is_shown(split):
    readings = localization_section(localization(split, MAPS, samples=20)).readings
    assert readings[0].startswith("5 labels of 5 images are judged; 1 with crowds and 1 without")
    assert "right points at objects more often than the centre does (1.000 [1.000," in readings[2]
    assert "wrong is not shown to point at objects more or less often" in readings[3]


def test_nothing_to_judge_and_nothing_to_look_at(split):
    empty = dataclasses.replace(split, objects=((),) * 5)
    result = localization(empty, MAPS, samples=20)
    assert result["pairs"] == 0 and result["models"]["right"]["max_box_accuracy"] is None
    assert localization_section(result).tables[0].rows[0] == ["right", *["–"] * 4]
    with pytest.raises(DatasetError, match="without objects"):
        localization(dataclasses.replace(split, objects=None), MAPS)
    assert localization_section({"left_out": "why"}).left_out == "why"


def test_resamples_without_a_judged_pair_have_no_mean(split):
    """Three hits among many images without any object: the interval does not reach 0."""
    paths = split.image_paths[:3] + split.image_paths[4:5] * 97
    labels = np.zeros((100, 2), np.float32)
    labels[:3, 0] = 1
    objects = (*split.objects[:3], *[()] * 97)
    rare = dataclasses.replace(split, image_paths=paths, labels=labels, objects=objects)
    found = localization(rare, {"corner": cells(slice(0, 2), slice(0, 2))}, samples=200)
    corner = found["models"]["corner"]["pointing_game"]
    assert (corner["mean"], corner["low"], corner["high"]) == (1.0, 1.0, 1.0)
