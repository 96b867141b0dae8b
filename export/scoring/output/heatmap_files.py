"""Heatmaps as PNG files: 8-bit maps of the network's own grid, or laid over the picture."""

import bisect
import contextlib
import glob
import os
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, PngImagePlugin

_ROWS_PER_FOLDER = 1000
_PARTIAL = ".partial"
# From dark blue over green and yellow to red; one column per channel.
_COLOURS = np.array([[0, 0, 96], [0, 128, 255], [64, 224, 96], [255, 224, 0], [224, 0, 0]])


def file_name(row: int, image: str, label: int, label_name: str, score: float) -> str:
    """Path of a row's heatmap inside the folder of heatmaps, such as
    `000000/000000012_beach_003_dog_0.912.png`; distinct by the numbers of row and label.

    Args:
        row: Number of the row in the whole job, from 0.
        image: The image as given, of whose file name what is safe is kept.
        label: Index of the label.
        label_name: Its name, likewise.
        score: The probability.
    """
    image, _ = os.path.splitext(os.path.basename(image))
    names = f"{_readable(image)}_{label:03}_{_readable(label_name)}"
    return f"{row // _ROWS_PER_FOLDER:06}/{row:09}_{names}_{score:.3f}.png"


def _readable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[:40].strip("-")


def write_map(path: str, heatmap: np.ndarray) -> None:
    """Writes `[h, w]` as 8-bit grey: 0 is the smallest value, 255 the largest.

    Both stand in the PNG's text as `minimum` and `maximum`:
    value = minimum + grey / 255 * (maximum - minimum).
    """
    minimum, maximum = float(heatmap.min()), float(heatmap.max())
    scale = 255.0 / (maximum - minimum) if maximum > minimum else 0.0
    text = PngImagePlugin.PngInfo()
    text.add_text("minimum", repr(minimum))
    text.add_text("maximum", repr(maximum))
    grey = np.rint((heatmap.astype(np.float64) - minimum) * scale).astype(np.uint8)
    _write(path, Image.fromarray(grey), text)


def write_overlay(path: str, heatmap: np.ndarray, picture: np.ndarray) -> None:
    """Writes the positive part of `[h, w]` in colours over the picture.

    Args:
        path: The file.
        heatmap: float `[h, w]`.
        picture: uint8 RGB `[H, W, 3]`: what the network saw.
    """
    positive = np.maximum(heatmap, 0.0).astype(np.float32)
    strength = positive / max(float(positive.max()), np.finfo(np.float32).tiny)
    size = (picture.shape[1], picture.shape[0])
    strength = np.asarray(Image.fromarray(strength).resize(size, Image.Resampling.BILINEAR))
    anchors = np.linspace(0.0, 1.0, len(_COLOURS))
    colours = np.stack([np.interp(strength, anchors, c) for c in _COLOURS.T], axis=-1)
    opacity = 0.6 * strength[..., None]
    mixed = picture * (1.0 - opacity) + colours * opacity
    _write(path, Image.fromarray(np.rint(mixed).astype(np.uint8)))


def remove_leftovers(folder: str, rows: Sequence[int]) -> None:
    """Removes files of these rows, whole or half, which a job that was killed left behind.

    A row that is scored again may get another name, by its score. Only files of these rows: other
    processes may be writing theirs into the same folder.

    Args:
        folder: The folder of heatmaps.
        rows: Ascending numbers of the rows that this process is going to score.
    """
    if not rows:
        return
    for number in range(rows[0] // _ROWS_PER_FOLDER, rows[-1] // _ROWS_PER_FOLDER + 1):
        for path in glob.glob(f"{glob.escape(folder)}/{number:06}/*_*"):
            row = os.path.basename(path).partition("_")[0]
            if row.isdecimal() and _is_in(rows, int(row)):
                os.remove(path)


def _is_in(rows: Sequence[int], row: int) -> bool:
    """Whether ascending `rows`, which may be millions, hold a number."""
    place = bisect.bisect_left(rows, row)
    return place < len(rows) and rows[place] == row


def _write(path: str, image: Image.Image, text: PngImagePlugin.PngInfo | None = None) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{os.getpid()}{_PARTIAL}"
    try:
        image.save(partial, "PNG", pnginfo=text)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise
