"""The class files of PASCAL VOC, `ImageSets/Main/CLASS_SPLIT.txt`: which images show a class."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.text_lines import text_lines
from vac_tf.datasets.split import RejectedRow, report_bad_row

LISTS = os.path.join("ImageSets", "Main")
# 0: only objects that are marked as difficult.
_LABEL_VALUES = {"1": 1.0, "0": math.nan, "-1": 0.0}


def split_names(folder: Path) -> list[str]:
    """The splits of a folder of lists: the files that are no class file of another one."""
    names = {path.stem for path in folder.glob("*.txt")}
    return sorted(
        name for name in names if not any(name.endswith(f"_{other}") for other in names - {name})
    )


def class_files(folder: Path, split: str) -> dict[str, Path]:
    """The class files of a split by their classes, sorted; none where there are none."""
    suffix = f"_{split}"
    paths = sorted(folder.glob("*.txt"))
    return {
        path.stem.removesuffix(suffix): path
        for path in paths
        if path.stem.endswith(suffix) and path.stem != suffix
    }


def labels_of_class_files(
    files: dict[str, Path], names: Sequence[str], rejected: list[RejectedRow] | None
) -> tuple[np.ndarray, set[str]]:
    """Reads the class files of a split.

    Args:
        files: by class.
        names: of the split's images, N.
        rejected: None to raise on the first bad line, or a list that takes them.

    Returns:
        float32 `[N, L]`, each 1, 0 or NaN (only difficult objects); and the images with a bad or
        missing line.

    Raises:
        DatasetError: a file is missing or damaged, or a line is bad.
    """
    rows = {name: row for row, name in enumerate(names)}
    labels = np.zeros((len(names), len(files)), np.float32)
    bad: set[str] = set()
    for column, file in enumerate(files.values()):
        first_line: dict[str, int] = {}
        for line, text in text_lines(file):
            name, value, reason = _parsed(text, rows, first_line)
            if reason:
                report_bad_row(rejected, file, line, reason)
                bad.add(name)
                continue
            first_line[name] = line
            labels[rows[name], column] = value
        for name in names:
            if name not in first_line and name not in bad:
                report_bad_row(rejected, file, None, f"it has no line of image {name!r}.")
                bad.add(name)
    return labels, bad


def _parsed(text: str, rows: dict[str, int], first_line: dict[str, int]) -> tuple[str, float, str]:
    """Image, label, and what is wrong with a line (empty: nothing)."""
    *names, value = text.rsplit(None, 1)
    name = names[0] if names else ""
    if not name or value not in _LABEL_VALUES:
        reason = f"expected an image and 1, 0 (only difficult ones) or -1, got {text[:60]!r}."
        return name, 0.0, reason
    if name not in rows:
        return name, 0.0, f"image {name!r} is not in the list of the split."
    if name in first_line:
        return name, 0.0, f"image {name!r} is already in line {first_line[name]}."
    return name, _LABEL_VALUES[value], ""
