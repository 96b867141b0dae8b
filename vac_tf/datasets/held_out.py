"""Parts of a training set: one to train on, one to select the best network by, smaller ones."""

import dataclasses
import hashlib
import os

import numpy as np

from vac_tf.datasets.group_hold_out import hold_out_groups
from vac_tf.datasets.packed_images import name_of
from vac_tf.datasets.split import Split


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Takes a part of the images out of a split.

    Whole images are taken, with all their boxes: the same photograph on both sides would make
    the selection look better than it is. Which images depends on their file names and the seed
    only, not on the order of the rows or on where the dataset lies; rows keep their order. Where
    the split has groups, whole groups are taken (`hold_out_groups`).

    Args:
        split: the examples to divide.
        fraction: part of the images to hold out, between 0 and 1 (both exclusive). At least one
            image is held out and at least one is kept.
        seed: another seed takes other images.

    Returns:
        The examples to train on and those held out (named "held_out").

    Raises:
        ValueError: when the fraction is out of range, or there are fewer than two images or
            groups.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"The held-out fraction must lie between 0 and 1, got {fraction}.")
    images = sorted(set(split.image_paths))
    if len(images) < 2:
        raise ValueError(f"Need at least two images to hold one out, got {len(images)}.")
    if isinstance(split, Split) and split.groups is not None:
        is_held_out = hold_out_groups(split.groups, split.image_paths, split.labels, fraction, seed)
        return _parted(split, is_held_out)
    count = min(max(round(fraction * len(images)), 1), len(images) - 1)
    chosen = set(_in_drawn_order(images, seed)[:count])
    return _parted(split, np.array([path in chosen for path in split.image_paths]))


def _parted(split: Split, is_held_out: np.ndarray) -> tuple[Split, Split]:
    held_out = dataclasses.replace(split.select(is_held_out), name="held_out")
    return split.select(~is_held_out), held_out


def fold_numbers(split: Split, folds: int, seed: int) -> np.ndarray:
    """Parts a split into folds of about the same size: whole images, or whole groups.

    Args:
        split: the examples; where it has groups, no group is in two folds, and each label has
            about the same share in all (`hold_out_groups`).
        folds: at least 2.
        seed: another seed parts them in another way.

    Returns:
        int64 `[N]`: the fold of each example, from 0.

    Raises:
        ValueError: fewer images or groups than folds, or a group larger than a fold can be.
    """
    images = sorted(set(split.image_paths))
    units = len(images) if split.groups is None else len(set(split.groups))
    if not 2 <= folds <= units:
        what = "images" if split.groups is None else "groups"
        raise ValueError(f"{units} {what} cannot be parted into {folds} folds; use 2 to {units}.")
    numbers = np.full(len(split), folds - 1)
    if split.groups is None:
        order = {path: place for place, path in enumerate(_in_drawn_order(images, seed))}
        return np.array([order[path] * folds // len(images) for path in split.image_paths])
    left = np.arange(len(split))
    for number in range(folds - 1):
        rest = split.select(left)
        chosen = hold_out_groups(
            rest.groups, rest.image_paths, rest.labels, 1 / (folds - number), seed
        )
        numbers[left[chosen]] = number
        left = left[~chosen]
    return numbers


def draw_images(split: Split, count: int, seed: int) -> Split:
    """The examples of `count` images drawn from a split, all of it where it has no more.

    As in `hold_out` names and seed decide; the images of a smaller count are among those of a
    larger one. Rows keep their order.

    Raises:
        ValueError: a count below 1.
    """
    if count < 1:
        raise ValueError(f"At least one image must be drawn, got {count}.")
    images = sorted(set(split.image_paths))
    # From the other end than the held-out part.
    chosen = set(_in_drawn_order(images, seed)[-count:])
    return split.select(np.array([path in chosen for path in split.image_paths]))


def _in_drawn_order(images: list[str], seed: int) -> list[str]:
    names = {path: os.path.abspath(name_of(path)) for path in images}
    root = os.path.commonpath([os.path.dirname(name) for name in names.values()])
    return sorted(images, key=lambda path: _digest(os.path.relpath(names[path], root), seed))


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
