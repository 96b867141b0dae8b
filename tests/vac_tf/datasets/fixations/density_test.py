"""Blurred fixations, the grids that networks train on, and their cache."""

import numpy as np
import pytest
from PIL import Image

from tests.vac_tf.fixation_files import HEIGHT, WIDTH, random_looks, write_json, write_release
from vac_tf.datasets.fixations.density import (
    blur_sigma,
    fixation_density,
    saliency_targets,
    shrink_density,
    split_density,
)
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.split import DatasetError


def test_sigma_is_19_at_640x480_and_grows_with_the_image():
    assert blur_sigma((480, 640)) == 19.0
    assert blur_sigma((960, 1280)) == 38.0
    assert blur_sigma((640, 480)) == 19.0


def test_one_fixation_becomes_a_gaussian_around_it():
    density = fixation_density(np.array([[240, 320]]), (480, 640))
    rows, columns = np.indices((480, 640))
    distance = (rows - 240) ** 2 + (columns - 320) ** 2
    expected = np.exp(-distance / (2 * 19.0**2))
    near = distance < (3 * 19) ** 2
    np.testing.assert_allclose(
        density[near] / density.max(), expected[near] / expected.max(), rtol=1e-3
    )
    assert density.argmax() == 240 * 640 + 320
    assert density.sum() == pytest.approx(1.0)


def test_every_fixation_weighs_the_same_also_at_the_border():
    middle, corner = np.array([[24, 16]]), np.array([[0, 63]])
    size = (HEIGHT, WIDTH)
    both = fixation_density(np.r_[middle, corner], size)
    parts = [fixation_density(points, size) for points in (middle, corner)]
    np.testing.assert_allclose(both, (parts[0] + parts[1]) / 2, atol=1e-15)
    twice = fixation_density(np.r_[middle, middle, corner], size)
    np.testing.assert_allclose(twice, (2 * parts[0] + parts[1]) / 3, atol=1e-15)
    with pytest.raises(ValueError, match="at least one fixation"):
        fixation_density(np.zeros((0, 2), int), size)


def test_shrinking_keeps_the_mass_of_every_cell():
    density = np.random.default_rng(0).random((HEIGHT, WIDTH))
    density /= density.sum()
    small = shrink_density(density, 6, 8)
    np.testing.assert_allclose(small, density.reshape(6, 8, 8, 8).sum((1, 3)), rtol=1e-5)


def test_targets_are_densities_and_fixations_on_the_grid(tmp_path):
    write_json(tmp_path, random_looks(3))
    split = read_salicon(tmp_path, "train")
    targets = saliency_targets(split, 12)
    assert targets.shape == (3, 12, 12, 2) and targets.dtype == np.float32
    np.testing.assert_allclose(targets[..., 0].sum((1, 2)), 1.0, rtol=1e-5)
    for index in range(3):
        expected = np.zeros((12, 12))
        for row, column in split.points(index):
            expected[row * 12 // HEIGHT, column * 12 // WIDTH] += 1
        np.testing.assert_array_equal(targets[index, ..., 1], expected)
        np.testing.assert_array_equal(
            targets[index, ..., 0], shrink_density(split_density(split, index), 12, 12)
        )


def test_targets_are_built_once(tmp_path, monkeypatch):
    write_json(tmp_path / "a", random_looks(3))
    write_json(tmp_path / "b", random_looks(3, seed=1))
    first, second = (read_salicon(tmp_path / name, "train") for name in "ab")
    cache = str(tmp_path / "cache")
    built = saliency_targets(first, 12, cache)
    other = saliency_targets(second, 12, cache)
    assert not np.array_equal(built, other)

    def fail(*arguments):
        raise AssertionError("built again")

    monkeypatch.setattr("vac_tf.datasets.fixations.density.split_density", fail)
    np.testing.assert_array_equal(saliency_targets(first, 12, cache), built)
    np.testing.assert_array_equal(saliency_targets(second, 12, cache), other)
    with pytest.raises(AssertionError, match="built again"):
        saliency_targets(first, 10, cache)


def test_published_maps_are_used_as_they_are(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[3, 5], pixels[40, 60] = 255, 85
    write_release(tmp_path, random_looks(2), map_pixels=pixels)
    split = read_salicon(tmp_path, "train")
    density = split_density(split, 1)
    assert density[3, 5] == pytest.approx(0.75)
    assert density[40, 60] == pytest.approx(0.25)
    assert split.points(1).shape == (28, 2)  # The points stay, for the metrics of points.
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(split.map_paths[1])
    with pytest.raises(DatasetError, match="not black was expected"):
        split_density(split, 1)


@pytest.mark.parametrize(
    ("scaled", "format"),
    [
        (lambda pixels: pixels.astype(np.uint16) * 257, "PNG"),
        (lambda pixels: pixels.astype(np.int32) * 10_000, "TIFF"),
        (lambda pixels: pixels.astype(np.float32) / 1000, "TIFF"),
    ],
    ids=["I;16", "I", "F"],
)
def test_deep_maps_are_the_densities_of_their_8_bit_versions(tmp_path, scaled, format):
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    write_release(tmp_path, random_looks(2), map_pixels=pixels)
    split = read_salicon(tmp_path, "train")
    expected = pixels.astype(np.float64) / pixels.sum()
    np.testing.assert_array_equal(split_density(split, 0), expected)
    Image.fromarray(scaled(pixels)).save(split.map_paths[1], format)
    split = read_salicon(tmp_path, "train")  # Whose check finds no fault in it, either.
    np.testing.assert_allclose(split_density(split, 1), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_values_that_make_no_density_are_refused(tmp_path, value):
    write_release(tmp_path, random_looks(2))
    split = read_salicon(tmp_path, "train")
    pixels = np.ones((HEIGHT, WIDTH), np.float32)
    pixels[3, 5] = value
    Image.fromarray(pixels).save(split.map_paths[1], "TIFF")
    for read in (lambda: split_density(split, 1), lambda: read_salicon(tmp_path, "train")):
        with pytest.raises(DatasetError, match=f"finite and not negative, got {value}"):
            read()


def test_targets_of_a_version_that_clipped_deep_maps_are_built_anew(tmp_path, monkeypatch):
    pixels = np.full((HEIGHT, WIDTH), 300, np.uint16)
    pixels[:24] = 60_000
    write_release(tmp_path, random_looks(2), map_pixels=pixels)
    split = read_salicon(tmp_path, "train")
    with monkeypatch.context() as patch:
        module = "vac_tf.datasets.fixations.density"
        patch.setattr(f"{module}._VERSION", 1)
        patch.setattr(f"{module}.split_density", lambda *_: np.ones((HEIGHT, WIDTH)))
        clipped = saliency_targets(split, 12, str(tmp_path / "cache"))
    built = saliency_targets(split, 12, str(tmp_path / "cache"))
    assert built[0, 0, 0, 0] == pytest.approx(200 * built[0, -1, 0, 0])
    assert clipped[0, 0, 0, 0] == clipped[0, -1, 0, 0]
