"""What to score: one `ScoringInput` per row, in a settled order, without opening any image."""

import atexit
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence

from export.files.read_limits import DEFAULT_LIMITS, ReadLimits
from export.files.remote_files import find_files, is_url
from export.files.url_file import copy_here
from export.scoring.sources.image_lists import LIST_SUFFIXES, list_source
from export.scoring.sources.input import IMAGE_SUFFIXES, ScoringInput, Source
from export.scoring.sources.recursive_glob import find_matches, walk
from export.scoring.sources.tar_source import is_tar, tar_source

STANDARD_INPUT = "-"


def open_source(images: str, image_root: str = "", limits: ReadLimits = DEFAULT_LIMITS) -> Source:
    """Finds the inputs that `images` names.

    Args:
        images: A folder, an image file, a tar file, a glob pattern (all of whose matches or none
            are tar files), a list (`.csv`, `.parquet`, `.txt`), `-` for one path per line of the
            standard input, or the URL of a list or a folder on remote storage.
        image_root: Folder from which relative paths of a list start; default: its own folder,
            for the standard input the current folder.
        limits: What reading a list by URL may take.

    Raises:
        ValueError: when nothing is found, a folder cannot be read, or a list has no column
            `image`.
    """
    suffix = os.path.splitext(images)[1].lower()
    if images == STANDARD_INPUT:
        source = _standard_input_source(image_root)
    elif is_url(images):
        source = _remote_source(images, suffix, image_root, limits)
    elif os.path.isdir(images):
        source = _folder_source(images)
    elif os.path.isfile(images) and suffix in LIST_SUFFIXES:
        source = list_source(images, suffix, image_root or os.path.dirname(images))
    elif os.path.isfile(images):
        source = _files_source([images])
    elif glob.has_magic(images):
        # What is neither file nor folder (a link to nowhere, a pipe) is a row that says so.
        matches = [path for path in find_matches(images) if not os.path.isdir(path)]
        source = _files_source(matches)
    else:
        raise ValueError(f"No file, folder or glob {images!r}. Check --images.")
    if not source.count:
        raise ValueError(f"{images!r} holds no images. {_what_was_expected(images, source)}")
    return source


def _what_was_expected(images: str, source: Source) -> str:
    if os.path.isdir(images):
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        return f"{source.left_out} files in it have none of the suffixes {suffixes}."
    return "Expected at least one path."


def _files_source(paths: Sequence[str]) -> Source:
    tars = [path for path in paths if is_tar(path)]
    if not tars:
        return _paths_source(paths)
    if len(tars) < len(paths):
        other = next(path for path in paths if path not in tars)
        raise ValueError(f"Expected tar files only or none, got {tars[0]!r} and {other!r}.")
    return tar_source(tars)


def _standard_input_source(image_root: str) -> Source:
    if sys.stdin is None:
        raise ValueError("--images=- reads paths from the standard input, which is closed.")
    # On disk and not in memory: the paths are read twice, to count them and to score them.
    number, path = tempfile.mkstemp(suffix=".txt")
    atexit.register(os.remove, path)
    try:
        with open(number, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise ValueError(
            f"The paths of the standard input cannot be kept in {path!r}: {error.strerror}. Free"
            " some room, or set TMPDIR to a folder that has it."
        ) from error
    return list_source(path, ".txt", image_root, name="standard input")


def _remote_source(url: str, suffix: str, image_root: str, limits: ReadLimits) -> Source:
    if suffix in LIST_SUFFIXES:
        copy = copy_here(url, limits)
        atexit.register(os.remove, copy)
        return list_source(copy, suffix, image_root or url.rpartition("/")[0], name=url)
    files = find_files(url)
    images = [path for path in files if _has_image_suffix(path)]
    return _paths_source(images, len(files) - len(images))


def _has_image_suffix(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def _paths_source(paths: Sequence[str], left_out: int = 0) -> Source:
    return Source.survey(lambda: (ScoringInput(path, path) for path in paths), left_out=left_out)


def _folder_source(folder: str) -> Source:
    files = list(walk(folder))
    images = [path for path in files if _has_image_suffix(path)]
    return _paths_source(sorted(images), len(files) - len(images))
