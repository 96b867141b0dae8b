"""Fingerprints: stable under what makes no other picture, far apart for others."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from vac_tf.datasets.near_duplicates import close_pairs, closest, difference_hashes


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (20, 10, 10, 3), np.uint8)
    large = [Image.fromarray(each).resize((72, 72), Image.Resampling.BICUBIC) for each in coarse]
    return np.stack([np.asarray(each) for each in large])


def bits_between(one, other):
    return int(np.bitwise_count(one ^ other))


def test_scaling_and_light_change_few_bits_and_another_image_many(images):
    hashes = difference_hashes(images)
    smaller = np.stack([np.asarray(Image.fromarray(each).resize((48, 40))) for each in images])
    for changed in (difference_hashes(smaller), difference_hashes(images * 0.6 + 20)):
        assert max(map(bits_between, hashes, changed)) <= 3
    assert min(bits_between(hashes[0], other) for other in hashes[1:]) > 12


def test_pairs_are_all_that_are_close_and_in_order(images):
    hashes = difference_hashes(np.concatenate([images, images[3:5]]))
    hashes[21] ^= np.uint64(1)
    assert pairs_of(close_pairs(hashes, most_bits=2)) == (2, [[3, 20, 0], [4, 21, 1]])
    many = np.random.default_rng(1).integers(1, 2**60, 1100, np.uint64)
    many[[5, 600, 1099]] = 7
    expected = [[5, 600, 0], [5, 1099, 0], [600, 1099, 0]]
    assert pairs_of(close_pairs(many, most_bits=0)) == (3, expected)
    assert pairs_of(close_pairs(many, most_bits=0, most=2)) == (3, expected[:2])
    sources = np.arange(1100)
    sources[600] = 5  # Two boxes of one photograph.
    assert pairs_of(close_pairs(many, 0, sources)) == (2, expected[1:])


def pairs_of(found):
    count, pairs = found
    return count, pairs.tolist()


def test_a_still_camera_takes_little_memory():
    tracemalloc.start()
    count, pairs = close_pairs(np.full(3000, 7, np.uint64))
    assert count == 3000 * 2999 // 2 and len(pairs) == 10_000
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()


def test_plain_images_are_alike_in_nothing():
    hashes = difference_hashes(np.full((3, 30, 31, 3), 77.7, np.float32))
    assert hashes.tolist() == [0, 0, 0] and close_pairs(hashes)[0] == 0


def test_the_closest_of_others_is_found_where_one_is_close():
    generator = np.random.default_rng(3)
    others = generator.integers(1, 2**63, 700, np.uint64)
    hashes = others[generator.integers(0, 700, 1200)]
    flips = [0, 1, 3, 7, 15]  # 0 to 4 bits
    hashes ^= np.array(flips, np.uint64)[generator.integers(0, 5, 1200)]
    hashes[::50] = 0
    found = closest(hashes, others)
    bits = np.bitwise_count(hashes[:, None] ^ others[None])
    expected = np.where((bits.min(axis=1) <= 2) & (hashes != 0), bits.argmin(axis=1), -1)
    np.testing.assert_array_equal(found, expected)
    assert 0 < np.count_nonzero(found < 0) < 1200
    assert closest(hashes, np.zeros(3, np.uint64)).max() == -1
