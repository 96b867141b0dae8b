"""Damage that scoring and training agree on, byte by byte from the end of a file."""

import numpy as np
import pytest
import tensorflow as tf

from export.images.image_header import ImageError
from export.images.preprocessing import decode
from tests.export.encoded_images import good_images
from vac_tf.inputs.decoding import decode_image

LIMIT = 10_000_000
# What both libraries' own readers make of an end that lacks a byte or two is not the same.
KINDS = [name for name in good_images() if name.startswith(("png", "bmp"))]


def in_training(data):
    try:
        return decode_image(tf.constant(data), "image", LIMIT).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def in_scoring(data):
    try:
        return decode(data, LIMIT)
    except ImageError as error:
        assert error.status == "unreadable"
        return None


@pytest.mark.parametrize("name", KINDS)
def test_both_read_or_both_refuse_a_file_without_its_last_bytes(name):
    whole = good_images()[name]
    for lost in (*range(1, 17), 40, len(whole) // 2):
        scored, trained = in_scoring(whole[:-lost]), in_training(whole[:-lost])
        assert (scored is None) == (trained is None), lost
        np.testing.assert_array_equal(scored, trained)


@pytest.mark.parametrize("name", good_images())
@pytest.mark.parametrize("behind", [b"\0\0", bytes(1000), b"<html>", b"BM"])
def test_what_stands_behind_an_image_changes_nothing(name, behind):
    whole = good_images()[name]
    for read in (in_scoring, in_training):
        np.testing.assert_array_equal(read(whole + behind), in_scoring(whole))


def test_a_flipped_bit_of_what_makes_a_picture_is_refused_and_one_of_metadata_is_not():
    text = b"\0\0\0\x03tEXta\0b" + b"\0\0\0\0"  # A checksum that is wrong.
    whole = good_images()["png"]
    for read in (in_scoring, in_training):
        np.testing.assert_array_equal(read(whole[:33] + text + whole[33:]), in_scoring(whole))
        broken = bytearray(whole)
        broken[-20] ^= 1
        assert read(bytes(broken)) is None
