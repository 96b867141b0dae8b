"""Generated scenes: a dataset that needs no download, written to disk in the COCO layout."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vac_tf.datasets.readers.coco import read_coco
from vac_tf.datasets.scenes.drawing import SceneObject, draw_scene
from vac_tf.datasets.scenes.shapes import SHAPE_RATIOS
from vac_tf.datasets.split import DatasetError, RejectedRow, Split, UnknownSplitError

_LOGGER = logging.getLogger(__name__)

# Raised with every change of what is drawn, so that no cache of older scenes is read.
GENERATOR_VERSION = 3

_SPLITS = ("train", "val", "test")
_SMALLEST_IMAGE = 32


def read_scenes(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    image_size: int = 96,
    train_images: int = 3000,
    seed: int = 0,
    with_objects: bool = True,
) -> Split:
    """Reads one split of the generated scenes; generates all three on first use.

    Args:
        data_dir: folder in which sets of scenes are cached, each in its own folder named after
            its options; empty for `$VAC_TF_CACHE` or, without that, `~/.cache/vac_tf`.
        split: "train" (`train_images` images), "val" (a sixth of that) or "test" (a third).
        rejected: as in `read_coco`.
        image_size: side of the square images in pixels.
        train_images: number of training images. The first images stay the same when there are
            more of them.
        seed: equal seeds give equal images.
        with_objects: whether to keep boxes and masks.

    Raises:
        DatasetError: for an unknown split, or when the folder cannot be written.
    """
    if split not in _SPLITS:
        raise UnknownSplitError(f"Unknown split {split!r} of scenes. Known: {', '.join(_SPLITS)}.")
    folder = scenes_folder(data_dir, image_size, train_images, seed)
    if not folder.is_dir():
        _write_atomically(folder, image_size, train_images, seed)
    loaded = read_coco(folder, split, rejected=rejected, with_objects=with_objects)
    return dataclasses.replace(loaded, dataset="scenes")


def scenes_folder(
    data_dir: str | os.PathLike, image_size: int, train_images: int, seed: int
) -> Path:
    """Where the scenes with these options lie, or will lie once generated.

    Raises:
        DatasetError: when an option is out of range.
    """
    for name, value, least in (
        ("image_size", image_size, _SMALLEST_IMAGE),
        ("train_images", train_images, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise DatasetError(f"Option {name} of scenes must be at least {least}, got {value}.")
    root = Path(data_dir) if str(data_dir) else _cache_root()
    options = [GENERATOR_VERSION, image_size, train_images, seed]
    digest = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:12]
    return root / f"scenes_{digest}"


def split_sizes(train_images: int) -> dict[str, int]:
    """Number of images of each split."""
    return {
        "train": train_images,
        "val": max(1, train_images // 6),
        "test": max(1, train_images // 3),
    }


def _cache_root() -> Path:
    return Path(os.environ.get("VAC_TF_CACHE") or Path.home() / ".cache" / "vac_tf")


def _write_atomically(folder: Path, image_size: int, train_images: int, seed: int) -> None:
    """Generates into a temporary folder beside `folder`, then renames it."""
    total = sum(split_sizes(train_images).values())
    _LOGGER.info("Generating %d scenes of %d px into %s.", total, image_size, folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise DatasetError(
            f"Cannot write the scenes to {folder.parent} ({error}). Name a writable data_dir or"
            " set the environment variable VAC_TF_CACHE."
        ) from error
    try:
        # mkdtemp makes a private folder; a cache may be shared.
        temporary.chmod(0o755)
        for split, count in split_sizes(train_images).items():
            _write_split(temporary, split, count, image_size, seed)
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was first; its scenes are the same.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_split(folder: Path, split: str, count: int, image_size: int, seed: int) -> None:
    (folder / split).mkdir()
    (folder / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for index in range(count):
        generator = np.random.default_rng([seed, _SPLITS.index(split), index])
        pixels, objects = draw_scene(generator, image_size)
        name = f"{index:06d}.png"
        # PNG keeps every pixel, so equal seeds give equal images with any version of libjpeg.
        Image.fromarray(pixels).save(folder / split / name, compress_level=1)
        images.append({"id": index, "file_name": name, "width": image_size, "height": image_size})
        for item in objects:
            annotations.append(_annotation(item, len(annotations) + 1, index))
    content = {
        "info": {"description": "Generated scenes", "version": str(GENERATOR_VERSION)},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(SHAPE_RATIOS, start=1)],
    }
    with open(folder / "annotations" / f"instances_{split}.json", "w", encoding="utf-8") as file:
        json.dump(content, file)


def _annotation(item: SceneObject, identifier: int, image_id: int) -> dict[str, Any]:
    """The visible pixels of an object as a COCO annotation."""
    # Imported here: reading scenes that exist needs no pycocotools.
    from pycocotools import mask

    run_lengths = mask.encode(np.asfortranarray(item.visible.astype(np.uint8)))
    return {
        "id": identifier,
        "image_id": image_id,
        "category_id": list(SHAPE_RATIOS).index(item.category) + 1,
        "bbox": [float(v) for v in mask.toBbox(run_lengths)],
        "area": float(mask.area(run_lengths)),
        "iscrowd": 0,
        "segmentation": {
            "size": [int(v) for v in run_lengths["size"]],
            "counts": run_lengths["counts"].decode("ascii"),
        },
    }
