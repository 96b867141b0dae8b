"""The last states of a run: sealed with a checksum, and the newest whole one found.

Beside `state.npz`, the newest, lie `earlier_1.npz`, `earlier_2.npz`, ... and `good.npz`, that of
the last epoch that ended well. Each is an archive of NumPy whose comment is the SHA-256 of
everything before it.
"""

import contextlib
import dataclasses
import glob
import hashlib
import io
import os
import re
import zipfile

from vac_tf.runs.atomic_file import link_atomically, written_beside
from vac_tf.runs.progress import DamagedStateError, read_progress

_GOOD = "good.npz"
_SEAL = b"SHA-256 "
_SEAL_LENGTH = len(_SEAL) + 64
# The end of an archive that has no comment.
_END_MARK, _END_LENGTH = b"PK\x05\x06", 22
_NO_ARCHIVE = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError)
_EARLIER = re.compile(r"earlier_([1-9]\d*)\.npz")


class NoWholeStateError(ValueError):
    """A run has states, and none of them can be used."""


@dataclasses.dataclass(frozen=True)
class SavedState:
    """A whole state.

    Attributes:
        path: its file.
        progress: how far the run was.
        damaged: the newer files, each with the reason why it cannot be used.
    """

    path: str
    progress: dict
    damaged: dict[str, str]


def good_state_beside(path: str) -> str:
    """The state of the last epoch that ended well; what a divergence falls back on."""
    return os.path.join(os.path.dirname(path), _GOOD)


def states_beside(path: str) -> list[str]:
    """The states that are there, whole or not: the newest `path`, earlier ones, the good one."""
    earlier = [_earlier(path, number) for number in _earlier_numbers(path)]
    files = [path, *earlier, good_state_beside(path)]
    return [file for file in files if os.path.exists(file)]


def write_state(path: str, archive: io.BytesIO, keep: int) -> None:
    """Writes a state atomically; those before it move on by one name, the oldest goes.

    Args:
        path: of the newest state.
        archive: what `numpy.savez` wrote; it is sealed.
        keep: how many states there are afterwards, at least 1, not counting the good one.
    """
    _seal(archive)
    with written_beside(path, archive.getbuffer()) as partial:
        for number in range(keep - 1, 1, -1):
            if os.path.exists(_earlier(path, number - 1)):
                os.replace(_earlier(path, number - 1), _earlier(path, number))
        if keep > 1 and os.path.exists(path):
            link_atomically(path, _earlier(path, 1))  # `path` is there at any moment.
        os.replace(partial, path)
    for number in _earlier_numbers(path):
        if number >= keep:
            os.remove(_earlier(path, number))


def newest_whole_state(path: str) -> SavedState | None:
    """The newest state that can be used; None where there is none at all.

    Raises:
        NoWholeStateError: all of them are damaged.
    """
    damaged = {}
    for file in states_beside(path):
        try:
            check_whole(file)
            return SavedState(file, read_progress(file), damaged)
        except (DamagedStateError, OSError) as error:
            damaged[file] = getattr(error, "reason", None) or str(error)
    if not damaged:
        return None
    lines = [f"  {file}: {reason}" for file, reason in damaged.items()]
    raise NoWholeStateError(
        "\n".join(
            [
                "No state of this run can be used, and nothing was deleted:",
                *lines,
                f"Put a copy of one of them back, remove {os.path.dirname(path)!r} to start this"
                " run anew, or use a new --run_dir.",
            ]
        )
    )


def put_aside(damaged: dict[str, str]) -> None:
    """Renames damaged states, so that none takes the place of a whole one."""
    for file in damaged:
        os.replace(file, f"{file}.damaged")


def keep_as_good(path: str) -> None:
    """Makes the state that was just saved the good one; damaged ones that were put aside go."""
    link_atomically(path, good_state_beside(path))
    for file in glob.glob(os.path.join(glob.escape(os.path.dirname(path)), "*.npz.damaged")):
        os.remove(file)


def fall_back_to_good(path: str) -> dict | None:
    """Makes the good state, where there is one, the only one; returns its progress.

    Raises:
        DamagedStateError: the good state cannot be used; everything stays as it is.
    """
    good = good_state_beside(path)
    progress = None
    if os.path.exists(good):
        check_whole(good)
        progress = read_progress(good)
        link_atomically(good, path)
    for file in states_beside(path):
        if progress is None or file not in (good, path):
            os.remove(file)
    return progress


def check_whole(path: str) -> None:
    """Checks that a state holds what was written.

    A state of a version without checksums must be a whole archive.

    Raises:
        DamagedStateError: it does not.
        FileNotFoundError: there is no such file.
    """
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size < _END_LENGTH + _SEAL_LENGTH:
            raise DamagedStateError(path, f"it has {size} bytes, too few for a state")
        stream.seek(size - _SEAL_LENGTH)
        seal = stream.read()
        if seal.startswith(_SEAL):
            stream.seek(0)
            if _digest(stream, size - _SEAL_LENGTH) != seal[len(_SEAL) :]:
                raise DamagedStateError(path, "its contents do not have the SHA-256 it was given")
            return
    if seal[-_END_LENGTH:].startswith(_END_MARK) and seal.endswith(b"\0\0"):
        with contextlib.suppress(*_NO_ARCHIVE), zipfile.ZipFile(path) as archive:
            if archive.testzip() is None:
                return
    raise DamagedStateError(path, "it ends in the middle or its end was changed")


def _seal(archive):
    archive.seek(-2, os.SEEK_END)  # The length of the comment, 0 so far.
    archive.write(_SEAL_LENGTH.to_bytes(2, "little"))
    digest = hashlib.sha256(archive.getbuffer()).hexdigest()
    archive.write(_SEAL + digest.encode())


def _digest(stream, length):
    digest = hashlib.sha256()
    while length and (piece := stream.read(min(length, 1 << 20))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()


def _earlier(path, number):
    return os.path.join(os.path.dirname(path), f"earlier_{number}.npz")


def _earlier_numbers(path):
    """Those of the earlier states that are there, the newest first."""
    folder = os.path.dirname(path)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(match[1]) for name in names if (match := _EARLIER.fullmatch(name)))
