"""Folders of images, a class a folder, as torchvision's ImageFolder and Keras have them."""

import os

import numpy as np

from vac_tf.datasets.split import DatasetError, RejectedRow, Split, UnknownSplitError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def read_folder(
    data_dir: str | os.PathLike, split: str, *, rejected: list[RejectedRow] | None = None
) -> Split:
    """Reads `data_dir/SPLIT/CLASS/**/IMAGE`: each image has the label of its class folder only.

    The labels are the classes of all splits, sorted: a class may be missing in one of them. Names
    that begin with a dot are passed over, as are files that are no images by their name (.jpg,
    .jpeg, .png, .webp, .bmp, .gif);
    links are followed, but for those to folders below a class.

    Args:
        data_dir: folder of the splits.
        split: name of its folder.
        rejected: stays as it is: there are no rows that could be bad.

    Raises:
        DatasetError: no such folder, no class folder in it, or no image.
    """
    del rejected
    if not os.path.isdir(data_dir):
        raise DatasetError(f"There is no folder {data_dir}.")
    splits = _folders(data_dir)
    if split not in splits:
        raise UnknownSplitError(
            f"Unknown split {split!r}: there is no folder {os.path.join(data_dir, split)}; there"
            f" is {', '.join(splits) or 'none'}. Expected {data_dir}/SPLIT/CLASS/IMAGE."
        )
    names = sorted({name for each in splits for name in _folders(os.path.join(data_dir, each))})
    paths, classes = [], []
    for number, name in enumerate(names):
        found = _images(os.path.join(data_dir, split, name))
        paths += found
        classes += [number] * len(found)
    if not paths:
        raise DatasetError(
            f"No image in {os.path.join(data_dir, split)}: expected a folder a class, with files"
            f" of {', '.join(_SUFFIXES)}."
        )
    labels = np.zeros((len(paths), len(names)), np.float32)
    labels[np.arange(len(paths)), classes] = 1.0
    return Split(tuple(paths), labels, tuple(names), name=split, dataset="folder")


def _folders(path):
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    return [name for name in names if os.path.isdir(os.path.join(path, name))]


def _images(folder):
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(parent, name)
            for name in sorted(files)
            if name.lower().endswith(_SUFFIXES) and not name.startswith(".")
        ]
    return found
