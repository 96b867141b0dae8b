"""Simulated fixations: clearly called so, repeatable, and where they should be."""

import json

import numpy as np
import pytest
from PIL import Image

from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.scenes.fixations import fixation_weights, read_scene_fixations
from vac_tf.datasets.scenes.reader import GENERATOR_VERSION, read_scenes, scenes_folder
from vac_tf.datasets.split import DatasetError, ObjectAnnotation

OPTIONS = {"image_size": 64, "train_images": 12, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    read_scene_fixations(folder, "train", **OPTIONS)
    return folder


def json_file(folder, split="train"):
    return scenes_folder(folder, **OPTIONS) / "annotations" / f"fixations_{split}.json"


def test_they_are_called_simulated_and_lie_beside_the_scenes(folder):
    content = json.loads(json_file(folder).read_text())
    assert content["info"]["description"].startswith("SIMULATED fixations")
    scenes = read_scenes(folder, "train", **OPTIONS)
    split = read_scene_fixations(folder, "train", **OPTIONS)
    assert isinstance(split, SaliencySplit)
    assert split.image_paths == scenes.image_paths
    assert split.dataset == "scenes"
    assert {len(workers) for workers in split.workers} == {8}
    assert {len(look) for looks in split.fixations for look in looks} <= set(range(6, 11))
    plain = read_salicon(scenes_folder(folder, **OPTIONS), "train")
    np.testing.assert_array_equal(plain.points(5), split.points(5))


def test_equal_seeds_give_equal_fixations_and_leave_the_images_alone(folder, tmp_path):
    assert GENERATOR_VERSION == 3  # Simulating must not make anybody generate the images anew.
    first = read_scenes(tmp_path, "train", **OPTIONS)
    before = [open(path, "rb").read() for path in first.image_paths]
    again = read_scene_fixations(tmp_path, "train", **OPTIONS)
    assert [open(path, "rb").read() for path in first.image_paths] == before
    assert json_file(tmp_path).read_bytes() == json_file(folder).read_bytes()
    other = read_scene_fixations(tmp_path, "train", **OPTIONS | {"seed": 4})
    assert not np.array_equal(other.points(0), again.points(0))
    validation = read_scene_fixations(tmp_path, "val", **OPTIONS)
    assert not np.array_equal(validation.points(0), again.points(0))


def test_damaged_files_and_those_of_another_version_are_written_anew(folder, tmp_path):
    read_scene_fixations(tmp_path, "val", **OPTIONS)
    whole = json_file(tmp_path, "val").read_text()
    for text in (whole[:50], whole.replace('"version": "1"', '"version": "0"')):
        json_file(tmp_path, "val").write_text(text)
        read_scene_fixations(tmp_path, "val", **OPTIONS)
        assert json_file(tmp_path, "val").read_text() == whole
    with pytest.raises(DatasetError, match="Unknown split"):
        read_scene_fixations(tmp_path, "trainval", **OPTIONS)


def test_objects_and_the_centre_attract_them(folder):
    """Far more than chance: pixels of objects, and the middle of all images together."""
    scenes = read_scenes(folder, "train", **OPTIONS)
    split = read_scene_fixations(folder, "train", **OPTIONS)
    hits, area, middle = [], [], []
    for index, path in enumerate(scenes.image_paths):
        image = np.asarray(Image.open(path))
        on_object = np.zeros((64, 64), bool)
        for mask, _ in fixation_weights(image, scenes.objects[index]):
            on_object |= mask
        rows, columns = split.points(index).T
        hits.append(on_object[rows, columns].mean())
        area.append(on_object.mean())
        middle.append(((abs(rows - 32) < 16) & (abs(columns - 32) < 16)).mean())
    assert np.mean(hits) > 1.8 * np.mean(area)
    assert np.mean(middle) > 1.3 * 0.25


def test_size_and_contrast_attract():
    from pycocotools import mask as run_lengths

    image = np.full((64, 64, 3), 50, np.uint8)
    objects = []
    # The same size in two colours, then the second colour larger.
    for place, colour in (
        (np.s_[4:14, 4:14], 255),
        (np.s_[4:14, 44:54], 90),
        (np.s_[34:54, 24:44], 90),
    ):
        mask = np.zeros((64, 64), np.uint8, order="F")
        mask[place] = 1
        image[place] = colour
        encoded = run_lengths.encode(np.asfortranarray(mask))
        objects.append(ObjectAnnotation(0, (0, 0, 1, 1), encoded, False, float(mask.sum())))
    bright, dark, large = (share for _, share in fixation_weights(image, tuple(objects)))
    assert bright + dark + large == pytest.approx(1.0)
    assert bright / dark == pytest.approx((10 + 205 * 3**0.5) / (10 + 40 * 3**0.5))
    assert large / dark == pytest.approx(2.0)
    assert fixation_weights(image, ()) == []
