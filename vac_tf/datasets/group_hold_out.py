"""A held-out part of whole groups: no person, video or patient on both sides."""

import hashlib

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_PASSES = 10
# What a label costs that is on one side only, though it is found in several groups: about as much
# as a label whose held-out share is off by 30 examples.
_ONE_SIDED = 30.0


def hold_out_groups(
    groups: tuple[str, ...],
    image_paths: tuple[str, ...],
    labels: np.ndarray,
    fraction: float,
    seed: int,
) -> np.ndarray:
    """Chooses groups whose examples are to be held out.

    Groups that share an image go together. Among the many ways to hold out about that fraction of
    the images, one is drawn and then improved, group by group, until each label has about that
    fraction of its positives there, and rare labels some on both sides where they can be. The
    choice depends on names and seed, not on the order of the rows.

    Args:
        groups: of the N examples.
        image_paths: of the N examples.
        labels: float32 `[N, L]`: 0, 1 or NaN (unknown).
        fraction: part of the images, between 0 and 1.
        seed: another seed takes other groups.

    Returns:
        bool `[N]`: whether an example is held out. At least one is, and one is not.

    Raises:
        ValueError: when there are not two groups, or none can be held out for their size.
    """
    units = _units(groups, image_paths)
    names = [""] * (units.max() + 1)
    for group, unit in zip(groups, units, strict=True):
        names[unit] = min(names[unit], group) if names[unit] else group
    if len(names) < 2:
        raise ValueError(
            f"All {len(groups)} examples belong to one group, {names[0]!r} among them, or to groups"
            " that share images: nothing can be held out. Name the column that tells persons"
            " (videos, patients) apart with --group_column."
        )
    counts = _counts(units, image_paths, labels, len(names))
    order = sorted(range(len(names)), key=lambda unit: _digest(names[unit], seed))
    held_out = _chosen_units(counts, fraction, order)
    _check_size(counts[:, -1], held_out, fraction, names)
    return held_out[units]


def _units(groups, image_paths) -> np.ndarray:
    """Number of the unit of each example: groups, joined where they share an image."""
    group_numbers = np.unique(groups, return_inverse=True)[1]
    image_numbers = np.unique(image_paths, return_inverse=True)[1]
    first_image = group_numbers.max() + 1
    nodes = first_image + image_numbers.max() + 1
    edges = coo_matrix(
        (np.ones(len(groups), bool), (group_numbers, first_image + image_numbers)), (nodes, nodes)
    )
    components = connected_components(edges, directed=False)[1]
    return np.unique(components[group_numbers], return_inverse=True)[1]


def _counts(units, image_paths, labels, num_units) -> np.ndarray:
    """Positives of each label and, last, images: float64 `[units, L + 1]`."""
    counts = np.zeros((num_units, labels.shape[1] + 1))
    np.add.at(counts[:, :-1], units, (labels == 1).astype(np.float64))
    first_rows = np.unique(image_paths, return_index=True)[1]
    np.add.at(counts[:, -1], units[first_rows], 1)
    return counts


def _chosen_units(counts, fraction, order) -> np.ndarray:
    """Whether each unit is held out, bool `[units]`: coordinate descent from a random part."""
    totals = counts.sum(axis=0)
    targets = fraction * totals
    scale = np.maximum(targets, 1.0)
    weights = np.ones_like(targets)
    weights[-1] = len(targets)  # The number of images counts as much as all labels together.
    in_several = np.count_nonzero(counts, axis=0) > 1

    def cost(held):
        one_sided = in_several & ((held == 0) | (held == totals))
        return np.sum(weights * (held - targets) ** 2 / scale) + _ONE_SIDED * one_sided.sum()

    held_out, held = np.zeros(len(counts), bool), np.zeros_like(totals)
    now = cost(held)
    for _ in range(_PASSES):
        before = now
        for unit in order:
            other = held - counts[unit] if held_out[unit] else held + counts[unit]
            then = cost(other)
            if then < now:
                held, now = other, then
                held_out[unit] = not held_out[unit]
        if now == before:
            break
    if not held_out.any():  # All are much larger than the part: the smallest is nearest.
        held_out[min(order, key=lambda unit: counts[unit, -1])] = True
    return held_out


def _check_size(images, held_out, fraction, names) -> None:
    """Raises ValueError where the part has less than half, or over twice the images asked for."""
    wanted = max(fraction * images.sum(), 1.0)
    got = images[held_out].sum()
    if held_out.all() or not wanted / 2 <= got <= 2 * wanted:
        largest = int(np.argmax(images))
        raise ValueError(
            f"{fraction:g} of {images.sum():.0f} images in {len(names)} groups cannot be held out"
            f" without parting a group: the nearest is {got:.0f} images (the largest group,"
            f" {names[largest]!r}, has {images[largest]:.0f}). Use another --validation_fraction,"
            " or a --group_column of smaller groups."
        )


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
