"""The one-pass resize against Pillow's, band by band."""

import concurrent.futures

import numpy as np
import pytest

from export.images import bilinear
from export.images.bilinear import resize_bands, resize_bilinear
from export.images.preprocessing import resize

LAST_BIT = 2.0**-16  # Of a float32 between 128 and 256.
SHAPES = [(1, 1), (2, 3), (1, 900), (900, 1), (47, 61), (33, 500), (225, 223), (480, 640)]


@pytest.fixture
def cykooz_resizer():
    return pytest.importorskip("cykooz_resizer", reason="without it Pillow resizes everything")


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (96, 64), (224, 224)])
def test_it_is_pillows_to_the_last_bit_or_the_one_before(cykooz_resizer, shape, size):
    image = noise(*shape)
    found, expected = resize_bilinear(image, *size), resize_bands(image, *size)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=LAST_BIT)


@pytest.mark.parametrize("shape", [*SHAPES, (131, 77)])
@pytest.mark.parametrize("size", [(1, 1), (48, 40), (224, 224)])
def test_strips_change_no_bit(cykooz_resizer, monkeypatch, shape, size):
    image = noise(*shape)
    whole = resize_bilinear(image, *size)
    monkeypatch.setattr(bilinear, "_WHOLE_BYTES", 0)
    for rows in (7, 64, 130):
        monkeypatch.setattr(bilinear, "_STRIP_BYTES", rows * shape[1] * 12)
        np.testing.assert_array_equal(resize_bilinear(image, *size), whole)


def test_an_image_that_is_a_view_of_another(cykooz_resizer):
    image = noise(90, 120)
    view = image[10:70:2, ::-1]
    expected = resize_bilinear(view.copy(), 32, 32)
    np.testing.assert_array_equal(resize_bilinear(view, 32, 32), expected)


def test_every_kind_of_processor_gives_the_same_bits(cykooz_resizer, monkeypatch):
    image = noise(131, 77)
    expected = resize_bilinear(image, 48, 40)
    resizer = cykooz_resizer.Resizer()
    monkeypatch.setattr(bilinear._THREAD, "resizer", resizer)
    resizer.cpu_extensions = cykooz_resizer.CpuExtensions.none
    np.testing.assert_array_equal(resize_bilinear(image, 48, 40), expected)


def test_threads_do_not_meet(cykooz_resizer):
    images = [noise(60 + number, 90) for number in range(16)]
    expected = [resize_bilinear(image, 32, 32) for image in images]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: resize_bilinear(image, 32, 32), 8 * images))
    np.testing.assert_array_equal(found, 8 * expected)


def test_without_the_package_pillow_resizes(monkeypatch):
    monkeypatch.setattr(bilinear, "cykooz_resizer", None)
    image = noise(47, 61)
    np.testing.assert_array_equal(resize(image, 32, 24, "bilinear"), resize_bands(image, 32, 24))
