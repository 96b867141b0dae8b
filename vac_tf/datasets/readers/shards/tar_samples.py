"""The samples of a shard of a WebDataset: which bytes of a tar file are which part of which one.

A tar is read once, header by header; what is in between is passed over. Nothing is extracted.
"""

import dataclasses
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from vac_tf.datasets.split import DatasetError, RejectedRow, report_bad_row

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "bmp", "gif")
LABEL_SUFFIXES = ("json", "labels.txt", "cls")
_MOST_LABEL_BYTES = 2**20


@dataclasses.dataclass
class Sample:
    """What a key has.

    Attributes:
        key: its name: that of its members up to the first dot.
        image: name, first byte and number of bytes; None: there is none.
        labels: contents of its small members by their suffixes.
        fault: why it cannot be used; empty: nothing is known against it.
    """

    key: str
    image: tuple[str, int, int] | None = None
    labels: dict[str, bytes] = dataclasses.field(default_factory=dict)
    fault: str = ""


def read_samples(path: Path, rejected: list[RejectedRow] | None) -> list[Sample]:
    """The samples of a tar file, in its order.

    Args:
        path: of the tar.
        rejected: None to raise where the tar is damaged, or a list that takes it, with the samples
            up to there.

    Raises:
        DatasetError: it cannot be opened, or is damaged.
    """
    samples: dict[str, Sample] = {}
    seen: set[str] = set()
    try:
        with open(path, "rb") as file:
            for member in _members(file):
                key, suffix = _parted(member.name)
                if suffix not in IMAGE_SUFFIXES + LABEL_SUFFIXES:
                    continue
                sample = samples.setdefault(key, Sample(key))
                sample.fault = sample.fault or _fault(member, suffix, sample, seen)
                seen.add(member.name)
                if sample.fault:
                    continue
                if suffix in IMAGE_SUFFIXES:
                    sample.image = member.name, member.offset_data, member.size
                else:
                    sample.labels[suffix] = os.pread(file.fileno(), member.size, member.offset_data)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    # Of a damaged header tarfile's parts raise what they happen to fail on.
    except (tarfile.TarError, ValueError, OverflowError, EOFError, IndexError) as error:
        report_bad_row(rejected, path, None, f"cannot be read as a tar file: {error}")
    return list(samples.values())


def _members(file) -> Iterator[tarfile.TarInfo]:
    """The members but folders; raises where they end without the mark of the end."""
    size = os.fstat(file.fileno()).st_size
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # It would keep every member for later calls.
            if member.offset_data + member.size > size:
                raise tarfile.ReadError(f"it ends early, within {member.name!r}.")
            if not member.isdir():
                yield member
        # tarfile takes a damaged header for the end; the real end is a block of zeros.
        if os.pread(file.fileno(), tarfile.BLOCKSIZE, tar.offset) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"damaged, or it ends early, at byte {tar.offset}.")


def _parted(name: str) -> tuple[str, str]:
    """Key and suffix: `a/b.labels.txt` is `a/b` and `labels.txt`."""
    folder, _, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), suffix.lower()


def _fault(member: tarfile.TarInfo, suffix: str, sample: Sample, seen: set[str]) -> str:
    if member.name in seen:
        return f"two members are named {member.name!r}."
    if not member.isreg() or member.issparse():
        return f"{member.name!r} is a link or a special file, expected a plain file."
    if suffix in IMAGE_SUFFIXES and sample.image is not None:
        return f"it has two images, {sample.image[0]!r} and {member.name!r}."
    if suffix in LABEL_SUFFIXES and member.size > _MOST_LABEL_BYTES:
        return f"{member.name!r} has {member.size} bytes, which are no labels."
    return ""
