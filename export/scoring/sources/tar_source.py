"""Images inside tar files, read in place: nothing is ever extracted.

A row's identity is the path of the tar, a slash, and the member's name as stored.
"""

import os
import tarfile
from collections.abc import Iterator, Sequence

from export.scoring.sources.input import IMAGE_SUFFIXES, ScoringInput, Source

TAR_SUFFIX = ".tar"
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


def is_tar(path: str) -> bool:
    """Whether a path names a tar file that can be read in place.

    Raises:
        ValueError: for a compressed one: its members have no place of their own in the file.
    """
    name = path.lower()
    if name.endswith(_COMPRESSED):
        raise ValueError(f"{path!r} is a compressed tar. Decompress it first: JPEG gains nothing.")
    return name.endswith(TAR_SUFFIX)


def tar_source(paths: Sequence[str]) -> Source:
    """The images of tar files, in the order of the files and of their members.

    Members with the suffix of an image that cannot be read (links, names that lead out of the
    tar) are rows with a problem; other members are left out and counted.

    Raises:
        ValueError: when a file is no tar, or is cut off.
    """
    left_out = sum(1 for path in paths for member in _members(path) if not _is_image(member))

    def read() -> Iterator[ScoringInput]:
        for path in paths:
            for member in _members(path):
                if _is_image(member):
                    yield _scoring_input(path, member)

    return Source.survey(read, left_out=left_out, has_members=True)


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    """All members but folders, one at a time: a tar of millions does not fill the memory."""
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                # It would keep every member for later calls.
                tar.members = []  # type: ignore[attr-defined]  # Typeshed leaves it out.
                if not member.isdir():
                    yield member
            # tarfile takes a damaged header for the end; the real end is a block of zeros.
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"damaged or cut off at byte {tar.offset}.")
            while rest := tar.fileobj.read(1 << 20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("it goes on behind its end: joined tars? Split them.")
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{path!r} cannot be read as a tar file: {error}") from error


def _is_image(member: tarfile.TarInfo) -> bool:
    return os.path.splitext(member.name)[1].lower() in IMAGE_SUFFIXES


def _scoring_input(path: str, member: tarfile.TarInfo) -> ScoringInput:
    image = f"{path}/{member.name}"
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return ScoringInput(image, path, problem=f"{path}: the name {member.name!r} leads outside.")
    if not member.isreg() or member.issparse():
        problem = f"{path}: {member.name!r} is a link or a special file. Expected a plain file."
        return ScoringInput(image, path, problem=problem)
    return ScoringInput(image, path, member=(member.offset_data, member.size))
