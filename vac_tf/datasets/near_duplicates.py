"""Images that look alike, told by a fingerprint of 64 bits of each. Needs no TensorFlow."""

import numpy as np

from vac_tf.datasets.split import Split

_ROWS, _COLUMNS = 8, 9
_CHUNK = 512
MOST_PAIRS = 10_000


def difference_hashes(images: np.ndarray) -> np.ndarray:
    """Fingerprints that survive scaling, compression and small changes of colour ("dHash").

    Each bit says whether a cell of the image, shrunk to 8 x 9 cells of grey, is brighter than the
    one left of it.

    Args:
        images: `[B, H, W, 3]`.

    Returns:
        uint64 `[B]`.
    """
    grey = np.asarray(images, np.float32).mean(axis=3)
    rows, columns = _shares(_ROWS, grey.shape[1]), _shares(_COLUMNS, grey.shape[2])
    cells = np.einsum("rh,bhw,cw->brc", rows, grey, columns, optimize=True)
    bits = cells[:, :, 1:] > cells[:, :, :-1] + 1e-3  # Rounding makes no bit of a plain area.
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0]


def close_pairs(
    hashes: np.ndarray,
    most_bits: int = 2,
    sources: np.ndarray | None = None,
    most: int = MOST_PAIRS,
) -> tuple[int, np.ndarray]:
    """Pairs of images whose fingerprints differ in few bits.

    Images without structure, whose fingerprint is 0, are left out: they are alike in nothing.

    Args:
        hashes: uint64 `[N]`.
        most_bits: that may differ.
        sources: `[N]`, numbers of photographs; parts of one are no pair. None: all are different.
        most: pairs that are returned. Frames of a still camera make N (N - 1) / 2.

    Returns:
        How many pairs there are, and int64 `[P, 3]`: the smaller index, the larger, and the number
        of bits of the first `most` of them, by their smaller index; the closest first.
    """
    sources = np.arange(len(hashes)) if sources is None else sources
    count, pairs = 0, [np.zeros((0, 3), np.int64)]
    for first in range(0, len(hashes), _CHUNK):
        rows = hashes[first : first + _CHUNK]
        bits = np.bitwise_count(rows[:, None] ^ hashes[None, first:])
        close = (bits <= most_bits) & (rows[:, None] != 0) & (hashes[None, first:] != 0)
        close &= np.arange(len(rows))[:, None] < np.arange(close.shape[1])[None]
        close &= sources[first : first + _CHUNK, None] != sources[None, first:]
        if count < most:
            row, column = np.divmod(np.flatnonzero(close)[: most - count], close.shape[1])
            pairs.append(np.stack([first + row, first + column, bits[row, column]], axis=1))
        count += int(close.sum())
    found = np.concatenate(pairs)
    return count, found[np.argsort(found[:, 2], kind="stable")]


def closest(hashes: np.ndarray, others: np.ndarray, most_bits: int = 2) -> np.ndarray:
    """Which of other images each image looks like.

    Args:
        hashes: uint64 `[N]`; 0, an image without structure, looks like none.
        others: uint64 `[M]`.
        most_bits: that may differ.

    Returns:
        int64 `[N]`: the index of the closest other image, -1 where none is that close.
    """
    found = np.full(len(hashes), -1, np.int64)
    usable = np.flatnonzero(others)
    for first in range(0, len(hashes) if len(usable) else 0, _CHUNK):
        rows = hashes[first : first + _CHUNK]
        bits = np.bitwise_count(rows[:, None] ^ others[None, usable])
        nearest = bits.argmin(axis=1)
        close = (bits[np.arange(len(rows)), nearest] <= most_bits) & (rows != 0)
        found[first : first + _CHUNK] = np.where(close, usable[nearest], -1)
    return found


def look_alikes(train: Split, parts: dict[str, Split], fingerprints: dict[str, int]) -> list[str]:
    """A sentence for each part that holds images which look like trained ones.

    Boxes of one photograph may lie in several parts, so that data sets of boxes are left out.

    Args:
        train: the training part.
        parts: the others, by what they are called.
        fingerprints: `difference_hashes` of each image, by its path.
    """
    if train.boxes is not None:
        return []
    trained, sentences = sorted(set(train.image_paths)), []
    hashes = _fingerprints_of(trained, fingerprints)
    for name, part in parts.items():
        # The same image is refused, or counted by its content.
        images = sorted(set(part.image_paths) - set(trained))
        found = closest(_fingerprints_of(images, fingerprints), hashes)
        alike = np.flatnonzero(found >= 0)
        if len(alike):
            one, other = images[alike[0]], trained[found[alike[0]]]
            sentences.append(
                f"{len(alike)} of the {len(images)} images of the {name} look like images that are"
                f" trained on, such as {one} and {other}: near-duplicates flatter figures on it."
            )
    return sentences


def _fingerprints_of(paths, fingerprints) -> np.ndarray:
    return np.array([fingerprints.get(path, 0) for path in paths], np.uint64)


def _shares(cells: int, pixels: int) -> np.ndarray:
    """Share of each pixel in each cell, over the cell's size: float32 `[cells, pixels]`."""
    edges = np.linspace(0, pixels, cells + 1)
    starts = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return (np.clip(overlap, 0, None) * cells / pixels).astype(np.float32)
