"""Files that a recursive glob names, each folder read once however many links lead to it."""

import fnmatch
import glob
import heapq
import os
from collections.abc import Iterator, Sequence


def walk(*tops: str) -> Iterator[str]:
    """Paths of all files below some folders, in no settled order.

    A folder is read once: under its own path where it lies below one of them, else under the
    first link to it in the order of paths. So links in circles end, and nine folders with two
    links each to the next give their image one path and not 512.

    Raises:
        ValueError: when a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    folders = [top for top in tops if not os.path.islink(top.rstrip("/"))]
    links = sorted(set(tops) - set(folders))
    while folders or links:
        folders = folders or [heapq.heappop(links)]
        while folders:
            folder = folders.pop()
            try:
                status = os.stat(folder)
                identity = (status.st_dev, status.st_ino)
                if identity in seen:
                    continue
                seen.add(identity)
                with os.scandir(folder) as listing:
                    entries = list(listing)
            except OSError as error:
                raise ValueError(
                    f"The folder {folder!r} cannot be read: {error.strerror}."
                ) from error
            for entry in entries:
                if not _is_folder(entry):
                    yield entry.path
                elif entry.is_symlink():
                    heapq.heappush(links, entry.path)
                else:
                    folders.append(entry.path)


def find_matches(pattern: str) -> list[str]:
    """Sorted paths of what a glob pattern names; folders and hidden names as `glob.glob`.

    `**` follows links as `walk` does: `glob.glob` takes every way that leads to a folder, of which
    two links to the folder that they lie in make more than can be counted.

    Raises:
        ValueError: when a folder below the place of a `**` cannot be read.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        return sorted(glob.glob(pattern))
    first = parts.index("**")
    # Not what lies beside them: it may be large, or closed to this user.
    tops = glob.glob("/".join([*parts[:first], ""])) if first else ["./"]
    wanted = [part for part in parts[first:] if part]
    found = (path for path in walk(*tops) if matches(path.split("/")[first or 1 :], wanted))
    return sorted(path if first else path.removeprefix("./") for path in found)


def matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a recursive glob names a path; both in their components."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if matches(path, pattern[1:]):
            return True
        return bool(path) and not path[0].startswith(".") and matches(path[1:], pattern)
    if not path or (path[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatch.fnmatchcase(path[0], pattern[0]) and matches(path[1:], pattern[1:])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself, or into a folder without access: its row will say so.
        return False
