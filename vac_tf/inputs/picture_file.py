"""Many pictures in one file: written by threads, mapped into memory, read inside tf.data.

Layout: the pixels of every picture, each from a multiple of 64 bytes on; then int64 `[rows,
columns, 3]`, the place (in pixel values), height and width of each; then SHA-256 of that index.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from vac_tf.inputs.threads import in_parallel

_ALIGNMENT = 64  # Of TensorFlow's buffers: a slice that begins at a multiple is not copied.
_CHANNELS = 3


class NoRoomError(Exception):
    """The pictures do not fit into the room that they may take."""

    def __init__(self, finished_rows: int):
        super().__init__(f"No room after {finished_rows} rows.")
        self.finished_rows = finished_rows


class MappedPictures:
    """Pictures by row and column, `[H, W, 3]`; only those that are read come into memory.

    Args:
        stream: A file that `write_pictures` has written.
        shape: Its rows and columns.
        dtype: Its type, `"uint8"` or `"float32"`.

    Raises:
        ValueError: it is not such a file, or not whole.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, int], dtype: str):
        index = _read_index(stream, shape, dtype)
        # Copy on write, which nobody does: DLPack takes no array that is read-only.
        pixels = np.memmap(stream, dtype, "c", shape=(_end(index, dtype) // _bytes(dtype),))
        with tf.device("/CPU:0"):
            self._pixels = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
            self._index = tf.constant(index)

    def picture(self, row, column: int = 0):
        """The picture `[H, W, 3]` of a row (scalar int)."""
        with tf.device("/CPU:0"):  # A GPU would get a copy of the file.
            place, height, width = tf.unstack(self._index[row, column])
            values = tf.slice(self._pixels, [place], [height * width * _CHANNELS])
            return tf.reshape(values, tf.stack([height, width, _CHANNELS]))


def write_pictures(
    stream: BinaryIO,
    num_rows: int,
    pictures: Callable[[int], Sequence[np.ndarray]],
    dtype: str,
    room: int,
) -> int:
    """Writes the pictures of every row to an empty file, as many at once as there are cores.

    Args:
        stream: Open for writing in binary.
        num_rows: How many rows.
        pictures: Called with a row, in threads; the same number of arrays `[H, W, 3]` for each.
        dtype: That of the arrays.
        room: Bytes that the pictures may take.

    Returns:
        The bytes of the file.

    Raises:
        NoRoomError: they take more.
        OSError: the file cannot be written.
    """
    lock, end, finished = threading.Lock(), 0, 0

    def write(row):
        nonlocal end, finished
        entries = []
        for picture in pictures(row):
            with lock:
                place, end = end, end + _padded(picture.nbytes)
                if end > room:
                    raise NoRoomError(finished)
            _write_at(stream, np.ascontiguousarray(picture, dtype), place)
            entries.append((place // _bytes(dtype), *picture.shape[:2]))
        with lock:
            finished += 1
        return entries

    index = np.array(list(in_parallel(write, range(num_rows))), "int64")
    _write_at(stream, index, end)
    _write_at(stream, np.frombuffer(_digest(index), "uint8"), end + index.nbytes)
    os.fsync(stream.fileno())
    return os.fstat(stream.fileno()).st_size


def _read_index(stream, shape, dtype):
    size = os.fstat(stream.fileno()).st_size
    index_bytes = 3 * 8 * shape[0] * shape[1]
    start = size - index_bytes - hashlib.sha256().digest_size
    if start >= 0:
        stream.seek(start)
        contents = stream.read()
        index = np.frombuffer(contents[:index_bytes], "int64").reshape(*shape, 3)
        if _digest(index) == contents[index_bytes:] and _end(index, dtype) == start:
            return index
    raise ValueError(f"{stream.name} is not a whole file of {shape[0]} pictures.")


def _end(index, dtype):
    """Where the pixels end that an index tells of, in bytes."""
    places, heights, widths = np.moveaxis(index, -1, 0)
    ends = places * _bytes(dtype) + _padded(heights * widths * _CHANNELS * _bytes(dtype))
    return int(ends.max())


def _digest(index):
    return hashlib.sha256(index.tobytes()).digest()


def _bytes(dtype):
    return np.dtype(dtype).itemsize


def _padded(num_bytes):
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT


def _write_at(stream, array, place):
    remaining = memoryview(array).cast("B")
    while remaining:
        written = os.pwrite(stream.fileno(), remaining, place)
        remaining, place = remaining[written:], place + written
