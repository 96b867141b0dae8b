"""Whether image files exist, asked of one listing per folder instead of one call per file."""

import errno
import os


class FolderListings:
    """Remembers the file names of each folder asked about.

    A network file system answers one listing of 100,000 names in the time of a few hundred
    single look-ups.

    Args:
        keep_missing: Let missing files pass `is_usable`, for a caller who opens every image and
            leaves out, with its reason, what cannot be read.
    """

    def __init__(self, keep_missing: bool = False):
        self._keep_missing = keep_missing
        self._names: dict[str, frozenset[str]] = {}

    def has_file(self, path: str) -> bool:
        """Whether `path` is an existing file (or a link to one)."""
        folder, name = os.path.split(path)
        if folder not in self._names:
            self._names[folder] = _file_names(folder)
        return name in self._names[folder]

    def is_usable(self, path: str) -> bool:
        """Whether the row of `path` may stay, as far as its file is concerned."""
        return self._keep_missing or self.has_file(path)


def _file_names(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return frozenset(entry.name for entry in entries if _is_file(entry))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return frozenset()  # ValueError: a name that no folder can have.
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return frozenset()


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # A link in a loop, say: no row may need it.
