"""Tests of vac_tf/datasets/scenes/reader.py, drawing.py and shapes.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask

from tools.python_imports import REPOSITORY
from vac_tf.datasets import DatasetError
from vac_tf.datasets.scenes import reader as scenes
from vac_tf.datasets.scenes.drawing import draw_scene
from vac_tf.datasets.scenes.reader import read_scenes, scenes_folder, split_sizes
from vac_tf.datasets.scenes.shapes import SHAPE_RATIOS, shape_masks


def pixels(split):
    return [np.asarray(Image.open(path)) for path in split.image_paths]


def test_sizes_labels_and_objects(tmp_path):
    for name, count in split_sizes(30).items():
        split = read_scenes(tmp_path, name, train_images=30)
        assert len(split) == count
        assert (split.name, split.dataset) == (name, "scenes")
        assert split.label_names == tuple(SHAPE_RATIOS)
        for labels, objects in zip(split.labels, split.objects, strict=True):
            assert set(np.flatnonzero(labels)) == {item.category for item in objects}
        assert {image.shape for image in pixels(split)} == {(96, 96, 3)}


def test_masks_boxes_and_areas_agree_and_never_overlap(tmp_path):
    split = read_scenes(tmp_path, "train", train_images=30)
    for objects in split.objects:
        masks = [mask.decode(item.segmentation) for item in objects]
        for item, visible in zip(objects, masks, strict=True):
            rows, columns = np.nonzero(visible)
            assert item.area == len(rows) >= 40
            assert item.box == (
                columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
            )  # fmt: skip
        if masks:
            assert np.sum(masks, axis=0).max() == 1


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path):
    first = read_scenes(tmp_path / "a", "train", train_images=6)
    second = read_scenes(tmp_path / "b", "train", train_images=6)
    files = [
        sorted(path for path in (tmp_path / side).rglob("*") if path.is_file()) for side in "ab"
    ]
    assert len(files[0]) == 6 + 1 + 2 + 3
    for one, two in zip(*files, strict=True):
        assert one.relative_to(tmp_path / "a") == two.relative_to(tmp_path / "b")
        assert one.read_bytes() == two.read_bytes()
    other = read_scenes(tmp_path / "a", "train", train_images=6, seed=1)
    assert not np.array_equal(pixels(first)[0], pixels(other)[0])
    test = read_scenes(tmp_path / "a", "test", train_images=6)
    assert not np.array_equal(pixels(first)[0], pixels(test)[0])
    assert first.objects == second.objects


def test_more_images_begin_with_the_same_images(tmp_path):
    few = read_scenes(tmp_path, "train", train_images=5)
    many = read_scenes(tmp_path, "train", train_images=12)
    for one, two in zip(pixels(few), pixels(many)[:5], strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(few.labels, many.labels[:5])


def test_the_cache_is_used(tmp_path, monkeypatch):
    read_scenes(tmp_path, "train", train_images=4)

    def fail(*_):
        raise RuntimeError("drew again")

    monkeypatch.setattr(scenes, "draw_scene", fail)
    assert len(read_scenes(tmp_path, "val", train_images=4)) == 1
    with pytest.raises(RuntimeError, match="drew again"):
        read_scenes(tmp_path, "train", train_images=5)


def test_an_empty_data_dir_means_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAC_TF_CACHE", str(tmp_path / "cache"))
    split = read_scenes("", "val", train_images=4)
    assert Path(split.image_paths[0]).is_relative_to(tmp_path / "cache")
    monkeypatch.delenv("VAC_TF_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert scenes_folder("", 96, 4, 0).parent == tmp_path / "home" / ".cache" / "vac_tf"


def test_every_option_and_the_generator_version_has_its_own_folder(tmp_path, monkeypatch):
    folders = {scenes_folder(tmp_path, *options) for options in [(96, 4, 0), (64, 4, 0)]}
    folders |= {scenes_folder(tmp_path, *options) for options in [(96, 5, 0), (96, 4, 1)]}
    monkeypatch.setattr(scenes, "GENERATOR_VERSION", scenes.GENERATOR_VERSION + 1)
    assert len(folders | {scenes_folder(tmp_path, 96, 4, 0)}) == 5


def test_an_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    drawn = []

    def interrupt(generator, image_size):
        drawn.append(1)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return draw_scene(generator, image_size)

    monkeypatch.setattr(scenes, "draw_scene", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_scenes(tmp_path, "train", train_images=4)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once_agree(tmp_path):
    code = (
        "import sys; from vac_tf.datasets import read_split;"
        "print(len(read_split('scenes', sys.argv[1], 'train', train_images=40)))"
    )
    repository = REPOSITORY
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=repository,
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in processes] == ["40", "40"]
    assert [path.name for path in tmp_path.iterdir()] == [scenes_folder("x", 96, 40, 0).name]


def test_the_loser_of_a_race_uses_the_winners_scenes(tmp_path, monkeypatch):
    folder = scenes_folder(tmp_path, 96, 4, 0)

    def draw_while_another_finishes(generator, image_size):
        if not folder.exists():
            monkeypatch.setattr(scenes, "draw_scene", draw_scene)
            scenes._write_atomically(folder, 96, 4, 0)
        return draw_scene(generator, image_size)

    monkeypatch.setattr(scenes, "draw_scene", draw_while_another_finishes)
    assert len(read_scenes(tmp_path, "train", train_images=4)) == 4
    assert list(tmp_path.iterdir()) == [folder]


def test_bad_options(tmp_path):
    with pytest.raises(
        DatasetError, match="Unknown split 'dev' of scenes. Known: train, val, test"
    ):
        read_scenes(tmp_path, "dev")
    for options, message in [
        ({"image_size": 8}, "image_size of scenes must be at least 32, got 8"),
        ({"train_images": 0}, "train_images of scenes must be at least 1"),
        ({"seed": -1}, "seed of scenes must be at least 0"),
    ]:
        with pytest.raises(DatasetError, match=message):
            read_scenes(tmp_path, "train", **options)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="Cannot write the scenes.*VAC_TF_CACHE"):
        read_scenes(tmp_path / "file", "train", train_images=2)


@pytest.mark.parametrize("image_size", [32, 50, 128])
def test_other_sizes(image_size):
    image, objects = draw_scene(np.random.default_rng(3), image_size)
    assert image.shape == (image_size, image_size, 3)
    assert image.dtype == np.uint8
    assert all(item.visible.shape == (image_size, image_size) for item in objects)


@pytest.mark.parametrize("category", SHAPE_RATIOS)
def test_a_shape_fills_its_diameter_and_stays_inside(category):
    for degrees in (0, 15, 45):
        coverage, second = shape_masks(category, 40.0, degrees, mirrored=False)
        assert coverage.shape == second.shape == (44, 44)
        assert 0.15 < coverage.sum() / 40**2 < 0.8
        border = np.concatenate([coverage[0], coverage[-1], coverage[:, 0], coverage[:, -1]])
        assert not border.any()
    textured = category in ("striped_disk", "checkered_square", "dotted_hexagon")
    assert bool(second.any()) == textured


@pytest.mark.parametrize("category", SHAPE_RATIOS)
def test_mirrored_and_turned_shapes_are_the_same_shape(category):
    upright, _ = shape_masks(category, 40.0, 0, mirrored=False)
    mirrored, _ = shape_masks(category, 40.0, 0, mirrored=True)
    turned, _ = shape_masks(category, 40.0, 90, mirrored=False)
    # Pillow's polygons include their border pixels, so edges move by one supersampled pixel.
    assert np.abs(mirrored - upright[:, ::-1]).mean() < 0.02
    assert np.abs(turned - np.rot90(upright, -1)).mean() < 0.02


def test_all_shapes_differ():
    shapes = [
        coverage * (1 - 0.5 * second)
        for coverage, second in (shape_masks(name, 30.0, 0, False) for name in SHAPE_RATIOS)
    ]
    for index, one in enumerate(shapes):
        for two in shapes[index + 1 :]:
            assert np.abs(one - two).sum() > 0.04 * max(one.sum(), two.sum())


def test_objects_stay_half_visible_and_hide_each_other():
    hidden = 0
    for index in range(60):
        _, objects = draw_scene(np.random.default_rng([9, index]), 96)
        for item in objects:
            share = np.count_nonzero(item.visible) / item.drawn_pixels
            assert share > 0.5  # 0.6 of it, less the lines in front
            hidden += share < 0.9
    assert hidden > 10


@pytest.mark.slow
def test_learnable_from_shape_but_not_from_colour(tmp_path):
    linear_model = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    splits = [read_scenes(tmp_path, name, train_images=3000) for name in ("train", "test")]
    features = [
        np.stack(
            [
                np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX)).ravel()
                for image in pixels(split)
            ]
        )
        / 128.0
        - 1
        for split in splits
    ]
    precisions = []
    for label in range(len(SHAPE_RATIOS)):
        model = linear_model.LogisticRegression(C=0.1, max_iter=500)
        model.fit(features[0], splits[0].labels[:, label])
        scores = model.decision_function(features[1])
        precisions.append(metrics.average_precision_score(splits[1].labels[:, label], scores))
    ratios = splits[0].positive_ratio()
    assert 0.02 < ratios.min() < 0.05 < 0.35 < ratios.max() < 0.45
    assert 0.15 < ratios.mean() < 0.2
    assert np.mean(precisions) < 0.4


def test_the_annotations_are_official_coco(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    read_scenes(tmp_path, "train", train_images=5)
    file = scenes_folder(tmp_path, 96, 5, 0) / "annotations" / "instances_train.json"
    reference = coco.COCO(file)
    assert len(reference.imgs) == 5
    for item in json.loads(file.read_text())["annotations"]:
        assert reference.annToMask(item).sum() == item["area"]
