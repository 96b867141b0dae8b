"""A file of pictures gives back what was written, and only whole files are read."""

import io

import numpy as np
import pytest
import tensorflow as tf

from vac_tf.inputs.picture_file import MappedPictures, NoRoomError, write_pictures

ROWS = 20
PLENTY = 2**30


def pictures_of(row, dtype="uint8"):
    """Two pictures a row, whose sizes differ from row to row."""
    generator = np.random.default_rng(row)
    sizes = ((1 + row, 7), (3, 2 + row % 5))
    return [generator.integers(0, 256, (*size, 3)).astype(dtype) for size in sizes]


@pytest.fixture
def stream(tmp_path):
    with open(tmp_path / "pictures", "w+b") as file:
        yield file


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_picture_comes_back_eagerly_and_in_tf_data(stream, dtype):
    size = write_pictures(stream, ROWS, lambda row: pictures_of(row, dtype), dtype, PLENTY)
    assert size == stream.seek(0, io.SEEK_END)
    mapped = MappedPictures(stream, (ROWS, 2), dtype)
    stream.close()  # What is mapped stays.
    rows = tf.data.Dataset.range(ROWS)
    dataset = rows.map(lambda row: (mapped.picture(row), mapped.picture(row, 1)), tf.data.AUTOTUNE)
    for row, read in enumerate(dataset):
        for column, expected in enumerate(pictures_of(row, dtype)):
            assert read[column].dtype == dtype
            np.testing.assert_array_equal(read[column], expected)
            np.testing.assert_array_equal(mapped.picture(row, column), expected)


def test_a_torn_file_and_one_of_other_pictures_are_refused(stream):
    size = write_pictures(stream, ROWS, pictures_of, "uint8", PLENTY)
    for shape, dtype in (((ROWS + 1, 2), "uint8"), ((ROWS, 1), "uint8"), ((ROWS, 2), "float32")):
        with pytest.raises(ValueError, match="is not a whole file"):
            MappedPictures(stream, shape, dtype)
    stream.truncate(size + 64)
    with pytest.raises(ValueError, match="is not a whole file of 20 pictures"):
        MappedPictures(stream, (ROWS, 2), "uint8")
    for part in (size - 1, size // 2, 10, 0):
        stream.truncate(part)
        with pytest.raises(ValueError, match="is not a whole file of 20 pictures"):
            MappedPictures(stream, (ROWS, 2), "uint8")


def test_it_takes_no_more_room_than_it_may(stream):
    with pytest.raises(NoRoomError) as error:
        write_pictures(stream, ROWS, pictures_of, "uint8", room=1000)
    assert 0 < error.value.finished_rows < ROWS


def test_an_error_of_a_picture_ends_the_writing(stream):
    def broken(row):
        if row == 7:
            raise KeyError("seven")
        return pictures_of(row)

    with pytest.raises(KeyError, match="seven"):
        write_pictures(stream, ROWS, broken, "uint8", PLENTY)
