"""Distorted images: shapes, what they keep, and that a batch's size decides nothing."""

import numpy as np
import pytest

from vac_tf.evaluation.distortions import (
    DARKNESS,
    DISTORTIONS,
    cropped,
    darkened,
    jpeg_compressed,
    mirrored,
    rescaled,
    shifted,
)

SIDE = 32
NUMBERS = np.arange(4)


def smooth_images():
    """float32 `[4, 32, 32, 3]`: ramps, which compression and resizing hardly change."""
    rows, columns = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    ramp = np.stack([rows, columns, rows + columns], -1) * 4.0
    return np.stack([ramp, ramp[::-1], ramp[:, ::-1], ramp / 2]).astype(np.float32)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_images_keep_their_form_and_range_and_are_changed(name):
    images = smooth_images()
    found = DISTORTIONS[name](images, NUMBERS)
    assert found.shape == images.shape and found.dtype == np.float32
    assert found.min() >= -1e-3 and found.max() <= 255.0
    assert np.abs(found - images).max() > 0.5
    np.testing.assert_array_equal(images, smooth_images())


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_batch_decides_nothing(name):
    images, distort = smooth_images(), DISTORTIONS[name]
    one_by_one = [distort(images[i : i + 1], NUMBERS[i : i + 1])[0] for i in NUMBERS]
    np.testing.assert_array_equal(distort(images, NUMBERS), one_by_one)


def test_a_shift_moves_by_an_eighth_along_both_axes():
    images = np.zeros((20, SIDE, SIDE, 3), np.float32)
    images[:, 16, 16] = 255.0
    places = {
        tuple(np.argwhere(image[..., 0] == 255.0)[0]) for image in shifted(images, np.arange(20))
    }
    assert places == {(12, 12), (12, 20), (20, 12), (20, 20)}


def test_a_shift_keeps_everything_but_the_border():
    images = smooth_images()
    found = shifted(images, NUMBERS)
    for image, moved in zip(images, found, strict=True):
        inner = image[4:-4, 4:-4]
        assert any(
            np.array_equal(moved[4 + y : 28 + y, 4 + x : 28 + x], inner)
            for y in (-4, 4)
            for x in (-4, 4)
        )


def test_crops_lie_at_several_places_and_enlarge():
    found = cropped(np.repeat(smooth_images()[:1], 12, axis=0), np.arange(12))
    corners = {round(float(image[0, 0, 0])) for image in found}
    assert len(corners) > 2
    # A step of the ramp (4 grey levels a pixel) is spread by the enlargement.
    assert np.diff(found[:, 8:24, 16, 0], axis=1).mean() == pytest.approx(4 * 3 / 4, abs=0.1)


def test_a_smaller_picture_has_a_steeper_ramp_and_a_flat_border():
    found = rescaled(smooth_images()[:1], NUMBERS[:1])[0]
    assert np.diff(found[6:26, 16, 0]).mean() == pytest.approx(4 / (3 / 4), abs=0.1)
    np.testing.assert_array_equal(found[:4, 16, 0], found[4, 16, 0])


def test_compression_is_lossy_darkness_is_a_factor_mirrors_are_exact():
    images = smooth_images()
    noise = np.random.default_rng(0).uniform(0, 255, images.shape).astype(np.float32)
    off = [np.abs(jpeg_compressed(each, NUMBERS) - each).mean() for each in (images, noise)]
    assert 0 < off[0] < 6 and off[1] > 20
    np.testing.assert_allclose(darkened(images, NUMBERS), images * DARKNESS, rtol=1e-6)
    np.testing.assert_array_equal(mirrored(mirrored(images, NUMBERS), NUMBERS), images)
