"""Which images of one split another one holds too, told by their content.

A split has many names (`val`, `val2014`, a folder, a CSV), and its files many places. Needs no
TensorFlow.
"""

import hashlib
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vac_tf.datasets.packed_images import open_image, place_of

_HEAD = 16_384  # bytes; most files of one size differ in these
_THREADS = 16  # A network file system answers many at once.


def same_images(paths: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Which of some image files hold the same bytes as one of `others`.

    Files are told apart by their sizes, then by their first bytes; only those still alike are read
    whole. A file that cannot be read is the same as its own path alone.

    Args:
        paths: N paths, which may repeat (boxes of one image).
        others: M paths.

    Returns:
        bool `[N]`.
    """
    known = set(others)
    left, right = sorted(set(paths) - known), sorted(known)
    with ThreadPoolExecutor(_THREADS) as pool:
        for fingerprint in (_size, _head_digest, _digest):
            of_left, of_right = (
                dict(zip(names, pool.map(_readable(fingerprint), names), strict=True))
                for names in (left, right)
            )
            common = set(of_left.values()) & set(of_right.values()) - {None}
            left = [path for path in left if of_left[path] in common]
            right = [path for path in right if of_right[path] in common]
    same = known.union(left)
    return np.array([path in same for path in paths], bool)


def _readable(fingerprint: Callable[[str], Hashable]) -> Callable[[str], Hashable | None]:
    """The fingerprint of a file, None where it cannot be read: whoever decodes it will say so."""

    def of_file(path: str) -> Hashable | None:
        try:
            return fingerprint(path)
        except OSError:
            return None

    return of_file


def _size(path: str) -> int:
    place = place_of(path)
    return place.length if place else os.stat(path).st_size


def _head_digest(path: str) -> bytes:
    with open_image(path) as stream:
        return hashlib.sha256(stream.read(_HEAD)).digest()


def _digest(path: str) -> bytes:
    with open_image(path) as stream:
        return hashlib.file_digest(stream, "sha256").digest()
