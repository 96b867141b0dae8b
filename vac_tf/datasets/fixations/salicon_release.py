"""SALICON's release of 2017: map PNGs, and fixations in MATLAB files."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vac_tf.datasets.fixations.map_image import read_map_image
from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.matlab_file import read_matlab_file
from vac_tf.datasets.split import DatasetError, RejectedRow, nothing_usable, report_bad_row


def is_release(data_dir: str | os.PathLike) -> bool:
    """Whether a folder has the layout of the 2017 release: `maps` and `fixations` beside it."""
    return all((Path(data_dir) / name).is_dir() for name in ("maps", "fixations"))


def read_release(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
) -> SaliencySplit:
    """Reads one split of the release of 2017.

    `maps/SPLIT/NAME.png` are the published maps, `fixations/SPLIT/NAME.mat` the fixations and
    `images/SPLIT` (or `images`, `SPLIT`) the photographs NAME.jpg. A `.mat` file holds
    `resolution` [height, width] and `gaze`, one entry for each worker, of whose fields only
    `fixations` counts: 1-based [x, y], the other order than in the JSON (`location` is raw gaze).
    Workers have no names here, so they are numbered.

    Args:
        data_dir: folder of the data set.
        split: "train" or "val" (the fixations of "test" are not public).
        rejected: None to raise on the first bad image, or a list that takes those left out.
        keep_missing: keep images whose file is missing, to be left out with the unreadable ones.

    Raises:
        DatasetError: when a file is missing or damaged, a fixation lies outside its image, an
            image has no fixations, or a map has another size than its image or is black.
    """
    data_dir = Path(data_dir)
    files = sorted((data_dir / "fixations" / split).glob("*.mat"))
    if not files:
        known = sorted(path.name for path in (data_dir / "fixations").glob("*") if path.is_dir())
        raise DatasetError(
            f"No .mat files in {data_dir / 'fixations' / split}. Found splits:"
            f" {', '.join(known) or 'none'}."
        )
    folders = [data_dir / "images" / split, data_dir / "images", data_dir / split]
    # One listing of each folder for all images, made before the threads that read them.
    listings = FolderListings(keep_missing)
    images = {file: _find_image(file, folders, listings) for file in files}

    def read(file: Path):
        if not images[file]:
            names = ", ".join(map(str, folders))
            return f"its image is missing: no {file.with_suffix('.jpg').name} in {names}."
        return _read_image(file, data_dir / "maps" / split / f"{file.stem}.png", images[file])

    rows = []
    with ThreadPoolExecutor() as pool:
        for file, row in zip(files, pool.map(read, files), strict=True):
            if isinstance(row, str):
                report_bad_row(rejected, file, None, row)
            else:
                rows.append(row)
    if not rows:
        folder = data_dir / "fixations" / split
        raise nothing_usable(f"{folder}: no usable image among {len(files)}.", rejected)
    paths, sizes, fixations, maps = zip(*rows, strict=True)
    return SaliencySplit(
        image_paths=paths,
        image_ids=tuple(_image_id(path) for path in paths),
        sizes=np.array(sizes),
        workers=tuple(tuple(range(1, len(looks) + 1)) for looks in fixations),
        fixations=fixations,
        map_paths=maps,
        name=split,
        dataset="salicon",
    )


def _find_image(file: Path, folders: list[Path], listings: FolderListings) -> str | None:
    """Path of the photograph that belongs to a `.mat` file."""
    names = [file.with_suffix(suffix).name for suffix in (".jpg", ".jpeg", ".png")]
    paths = [str(folder / name) for folder in folders for name in names]
    found = (path for path in paths if listings.has_file(path))
    return next(found, paths[0] if listings.is_usable(paths[0]) else None)


def _read_image(file: Path, map_path: Path, path: str) -> tuple | str:
    """Path, size, fixations and map of an image, or what is wrong with it."""
    try:
        size, fixations = _read_gaze(file)
    except DatasetError as error:
        return str(error)
    reason = _wrong_map(map_path, size)
    return reason or (path, size, fixations, str(map_path))


def _image_id(path: str) -> str:
    """COCO's id of the image: COCO_train2014_000000123909.jpg -> 123909."""
    number = Path(path).stem.rpartition("_")[2]
    return str(int(number)) if number.isdecimal() else Path(path).stem


def _read_gaze(file: Path) -> tuple[tuple[int, int], tuple[np.ndarray, ...]]:
    """Height and width, and for each worker with fixations an int64 [F, 2] of row and column."""
    content = read_matlab_file(file)
    try:
        resolution = np.asarray(content["resolution"], np.int64).ravel()
        entries = np.asarray(content["gaze"]).ravel()
        looks = [np.asarray(entry["fixations"], np.float64).reshape(-1, 2) for entry in entries]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DatasetError(
            f"expected `resolution` and, for each worker, `gaze.fixations` of [x, y] ({error})."
        ) from error
    if resolution.shape != (2,) or resolution.min() < 1:
        raise DatasetError(f"resolution must be [height, width], got {resolution.tolist()}.")
    height, width = (int(side) for side in resolution)
    looks = [look for look in looks if len(look)]
    if not looks:
        raise DatasetError("there are no fixations on this image.")
    points = np.concatenate(looks)
    outside = ~((points >= 1) & (points < (width + 1, height + 1))).all(axis=1)
    if outside.any():
        raise DatasetError(
            f"fixation {points[outside][0].tolist()} lies outside the image: [x, y] count from 1 to"
            f" [{width}, {height}]."
        )
    return (height, width), tuple(np.floor(look[:, ::-1]).astype(np.int64) - 1 for look in looks)


def _wrong_map(path: Path, size: tuple[int, int]) -> str:
    """What is wrong with the map of an image, or nothing."""
    try:
        values = read_map_image(path)
    except FileNotFoundError:
        return f"its map {path} is missing."
    except (OSError, ValueError) as error:
        return f"its map {path} cannot be read: {error}."
    if values.shape != size:
        return f"its map {path} has {values.shape} pixels (height, width), the image {size}."
    if not values.any():
        return f"its map {path} is all black: it says nowhere that somebody looked."
    return ""
