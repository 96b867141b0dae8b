"""Images inside shards: their pixels, turns and caches are those of the same files alone."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.export.encoded_images import encode, photograph
from tests.vac_tf.datasets.readers.shards.tars import write_tar
from vac_tf.datasets import DatasetError, Split, read_split
from vac_tf.inputs.image_cache import ImageCache
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.inputs.settings import naming_bad_images

SETTINGS = ImageSettings(24, apply_exif_orientation=True)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(photograph(channels=3, seed=1), "JPEG", exif=exif)


@pytest.fixture
def images(tmp_path):
    """The same images packed and as files: two splits."""
    contents = {
        "a.jpg": turned(),
        # Ends in zeros, which NumPy would cut off text.
        "b.png": encode(photograph(channels=3, seed=2), "PNG") + bytes(8),
    }
    members = [(name, data) for name, data in contents.items()]
    write_tar(tmp_path / "train.tar", [*members, ("a.cls", b"0"), ("b.cls", b"0")])
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    packed = read_split("webdataset", tmp_path, "train")
    files = tuple(str(tmp_path / name) for name in contents)
    return packed, Split(files, packed.labels, packed.label_names, name="train")


def test_pixels_are_those_of_files(images):
    packed, files = (ImageSource(split, SETTINGS) for split in images)
    for index in range(2):
        np.testing.assert_array_equal(packed.load(index), files.load(index))
    rows = tf.data.Dataset.range(2).map(packed.resized, num_parallel_calls=2)
    for index, resized in enumerate(rows):
        np.testing.assert_array_equal(resized, files.resized(index))


def test_a_cache_is_of_the_image_and_not_of_the_shard(images, tmp_path):
    packed, _ = images
    cache = ImageCache("disk", str(tmp_path / "cache"))
    first = [np.asarray(ImageSource(packed, SETTINGS, cache).load(index)) for index in range(2)]
    again = ImageSource(packed.select([1, 0]), SETTINGS, cache)
    np.testing.assert_array_equal(again.load(0), first[1])
    assert not np.array_equal(first[0], first[1])


def test_a_shard_that_was_cut_is_named(images):
    packed, _ = images
    source = ImageSource(packed, SETTINGS)
    shard = packed.image_paths[0].rpartition("@")[0]
    os.truncate(shard, 1000)
    reasons = [reason for _, reason in source.find_bad_images()]
    assert len(reasons) == 2 and all("train.tar ends" in reason for reason in reasons)
    rows = tf.data.Dataset.range(2).map(source.resized)
    with pytest.raises(DatasetError, match=r"a.jpg cannot be used: .*train.tar ends \d+ bytes"):
        with naming_bad_images(source):
            list(rows)
    os.unlink(shard)
    with pytest.raises(DatasetError, match="a.jpg cannot be used: No such file"):
        source.check_first_image()
