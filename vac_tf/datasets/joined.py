"""Several splits as one: COCO's train and val, say, for a study that needs every image."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.split import Split

AnySplit = TypeVar("AnySplit", Split, SaliencySplit)


def split_names(text: str) -> list[str]:
    """The names in "train+val".

    Raises:
        ValueError: for an empty name, or one that occurs twice.
    """
    names = [name.strip() for name in text.split("+")]
    if not all(names) or len(set(names)) != len(names):
        raise ValueError(
            f"Expected the name of a split, or several such as train+val, got {text!r}."
        )
    return names


def join_splits(splits: Sequence[Split]) -> Split:
    """The examples of several splits, one after the other, with the labels of the first.

    Raises:
        ValueError: when they have different labels.
    """
    first = splits[0]
    if len(splits) == 1:
        return first
    parts = [split.with_labels(first.label_names) for split in splits]
    whole = {"boxes": all(p.boxes is not None for p in parts)}
    whole["groups"] = all(p.groups is not None for p in parts)
    whole["provenance"] = all(p.provenance is not None for p in parts)
    whole["objects"] = all(p.objects is not None for p in parts)
    # A split without weights beside one with them: its examples count 1.
    is_soft = any(p.soft_labels is not None for p in parts)
    is_weighted = any(p.weights is not None for p in parts)
    return dataclasses.replace(
        first,
        image_paths=_chained(part.image_paths for part in parts),
        labels=np.concatenate([part.labels for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]) if whole["boxes"] else None,
        objects=_chained(part.objects for part in parts) if whole["objects"] else None,
        groups=_chained(part.groups for part in parts) if whole["groups"] else None,
        soft_labels=np.concatenate([p.training_labels for p in parts]) if is_soft else None,
        weights=np.concatenate([_weights(p) for p in parts]) if is_weighted else None,
        provenance=_chained(part.provenance for part in parts) if whole["provenance"] else None,
        name=_joined_name(splits),
    )


def _weights(split: Split) -> np.ndarray:
    return np.ones(len(split), np.float32) if split.weights is None else split.weights


def join_saliency_splits(splits: Sequence[SaliencySplit]) -> SaliencySplit:
    """The images of several splits, one after the other, and the fixations on them.

    Ids of images, which several splits may share, get the name of their split before them.
    """
    if len(splits) == 1:
        return splits[0]
    have_maps = all(split.map_paths is not None for split in splits)
    return SaliencySplit(
        image_paths=_chained(split.image_paths for split in splits),
        image_ids=_chained([f"{split.name}/{i}" for i in split.image_ids] for split in splits),
        sizes=np.concatenate([split.sizes for split in splits]),
        workers=_chained(split.workers for split in splits),
        fixations=_chained(split.fixations for split in splits),
        map_paths=_chained(split.map_paths for split in splits) if have_maps else None,
        name=_joined_name(splits),
        dataset=splits[0].dataset,
    )


def _chained(parts) -> tuple:
    return tuple(value for part in parts for value in part)


def _joined_name(splits) -> str:
    return "+".join(split.name for split in splits)
