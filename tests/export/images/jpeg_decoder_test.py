"""The fast JPEG decoder against Pillow, on good files and on broken ones."""

import random

import numpy as np
import pytest

from export.images import jpeg_decoder
from export.images.image_header import ImageError
from export.images.preprocessing import decode
from tests.export.encoded_images import encode, good_images, photograph

LIMIT = 10_000_000
RGB = photograph(47, 61, channels=3)
VARIANTS = {
    f"quality {quality}, subsampling {subsampling}, progressive {progressive}": encode(
        RGB, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive
    )
    for quality in (20, 95)
    for subsampling in (0, 1, 2)
    for progressive in (False, True)
}
JPEGS = VARIANTS | {n: data for n, data in good_images().items() if n.startswith("jpeg")}


@pytest.fixture
def simplejpeg():
    return pytest.importorskip("simplejpeg", reason="without it Pillow decodes everything")


def with_pillow(data):
    """Pillow's pixels, or the message of its error."""
    module, jpeg_decoder.simplejpeg = jpeg_decoder.simplejpeg, None
    try:
        return decode(data, LIMIT)
    except ImageError as error:
        return str(error)
    finally:
        jpeg_decoder.simplejpeg = module


@pytest.mark.parametrize("name", JPEGS)
def test_pixels_are_those_of_pillow(simplejpeg, name):
    expected = with_pillow(JPEGS[name])
    fast = jpeg_decoder.decode_jpeg(JPEGS[name], expected.shape[1], expected.shape[0])
    assert (fast is None) == (name == "jpeg_cmyk")
    np.testing.assert_array_equal(decode(JPEGS[name], LIMIT), expected)


def broken(data, generator):
    """One of: cut, bits flipped, bytes left out, bytes put in."""
    result, kind = bytearray(data), generator.randrange(4)
    place = generator.randrange(2, len(data))
    if kind == 0:
        del result[place:]
    elif kind == 1:
        result[place] ^= 1 << generator.randrange(8)
    elif kind == 2:
        del result[place : place + generator.randrange(1, 30)]
    else:
        result[place:place] = generator.randbytes(generator.randrange(1, 30))
    return bytes(result)


def test_broken_files_get_what_pillow_makes_of_them(simplejpeg):
    generator, taken = random.Random(0), 0
    for _ in range(500):
        data = broken(generator.choice(list(JPEGS.values())), generator)
        expected = with_pillow(data)
        if isinstance(expected, str):
            with pytest.raises(ImageError) as caught:
                decode(data, LIMIT)
            assert str(caught.value) == expected
        else:
            np.testing.assert_array_equal(decode(data, LIMIT), expected)
            height, width = expected.shape[:2]
            taken += jpeg_decoder.decode_jpeg(data, width, height) is not None
    assert taken > 20


def test_a_size_other_than_the_headers_is_left_to_pillow(simplejpeg):
    data = next(iter(VARIANTS.values()))
    assert jpeg_decoder.decode_jpeg(data, 61, 47).shape == (47, 61, 3)
    assert jpeg_decoder.decode_jpeg(data, 60, 47) is None


def test_without_simplejpeg_pillow_decodes(monkeypatch):
    monkeypatch.setattr(jpeg_decoder, "simplejpeg", None)
    data = next(iter(VARIANTS.values()))
    assert jpeg_decoder.decode_jpeg(data, 61, 47) is None
    assert decode(data, LIMIT).shape == (47, 61, 3)
