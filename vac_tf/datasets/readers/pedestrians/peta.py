"""PETA: pedestrian images with attributes, as the authors' archive has them."""

import csv
import dataclasses
import os
import re
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.official_counts import warn_of_other_count
from vac_tf.datasets.readers.table_file import TABLE_SUFFIXES, column_names, table_rows
from vac_tf.datasets.readers.text_lines import text_lines
from vac_tf.datasets.split import (
    DatasetError,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png")
_FOLDERS = ("", "PETA dataset", "PETA")
_LABELS = "Label.txt"
_OFFICIAL_COUNTS = {"all": 19_000}
# The whole archive, which has no splits of its own.
ALL = "all"
PERSON = "person"


@dataclasses.dataclass
class _Subset:
    """One of the ten collections: `people`, the attributes of each person by number."""

    name: str
    folder: Path
    people: dict[int, frozenset[str]]


def read_peta(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    label_columns: str = "",
    group_column: str = "",
) -> Split:
    """Reads PETA (Deng et al., ACM Multimedia 2014) as its authors' archive holds it.

    `SUBSET/archive/Label.txt` has a line a person, the number (or the name of a file that begins
    with it) and the attributes that are present; the names of the images beside it begin with the
    number of their person. Labels are the attributes of all subsets, sorted.

    The archive has no splits: "all" is everything. Others are those of a table `splits.csv` (or
    `.tsv`, `.parquet`) in `data_dir`, with the columns `image`, relative to the table, and `split`.

    Args:
        data_dir: folder of the subsets, or that above "PETA dataset".
        split: "all", or a split of the table.
        rejected: None to raise on the first bad row, or a list that takes the rows left out.
        label_columns: the attributes that are labels, separated by commas; empty: all.
        group_column: "person" for groups (`Split.groups`) of one subset and number; empty: none.

    Raises:
        DatasetError: when a file is missing or damaged, or a row is bad.
    """
    root = _find_root(Path(data_dir))
    if group_column not in ("", PERSON):
        raise DatasetError(
            f"PETA has no column {group_column!r} of groups: give --group_column={PERSON}."
        )
    subsets = [
        _Subset(path.parent.parent.name, path.parent, _people(path, rejected))
        for path in sorted(root.glob(f"*/archive/{_LABELS}"))
    ]
    names = _label_names(subsets, label_columns, root)
    wanted = _split_images(Path(data_dir), root, split)
    paths, labels, groups = [], [], []
    for subset in subsets:
        for name in sorted(os.listdir(subset.folder)):
            path = os.path.join(subset.folder, name)
            number = _number(name)
            if not name.lower().endswith(_SUFFIXES) or not (wanted is None or path in wanted):
                continue
            if number not in subset.people:
                reason = f"its name begins with no number of a person in {_LABELS}."
                report_bad_row(rejected, path, None, reason)
                continue
            paths.append(path)
            labels.append([float(label in subset.people[number]) for label in names])
            groups.append(f"{subset.name}_{number}")
    if not paths:
        raise nothing_usable(f"{root} has no usable image for split {split!r}.", rejected)
    warn_of_other_count(root, split, len(paths), "images", _OFFICIAL_COUNTS)
    return Split(
        image_paths=tuple(paths),
        labels=np.array(labels, np.float32),
        label_names=names,
        groups=tuple(groups) if group_column else None,
        name=split,
        dataset="peta",
    )


def _find_root(data_dir: Path) -> Path:
    for folder in _FOLDERS:
        if any((data_dir / folder).glob(f"*/archive/{_LABELS}")):
            return data_dir / folder
    raise DatasetError(
        f"There is no SUBSET/archive/{_LABELS} in {data_dir}. Expected PETA as its authors' archive"
        " holds it: PETA dataset/3DPeS/archive/Label.txt, ..."
    )


def _number(name: str) -> int:
    """The number that a name begins with; -1 without one."""
    digits = re.match(r"[0-9]{1,9}(?![0-9])", name)
    return int(digits.group()) if digits else -1


def _people(file: Path, rejected: list[RejectedRow] | None) -> dict[int, frozenset[str]]:
    people: dict[int, frozenset[str]] = {}
    bad: set[int] = set()
    for line, text in text_lines(file):
        name, *attributes = text.split()
        number = _number(name)
        if number < 0:
            reason = f"expected the number of a person, got {name[:40]!r}."
        elif people.get(number, frozenset(attributes)) != frozenset(attributes):
            reason = f"person {number} has other attributes further up."
            bad.add(number)
        else:
            people[number] = frozenset(attributes)
            continue
        report_bad_row(rejected, file, line, reason)
    return {number: attributes for number, attributes in people.items() if number not in bad}


def _label_names(subsets: list[_Subset], wanted: str, root: Path) -> tuple[str, ...]:
    every = (attributes for subset in subsets for attributes in subset.people.values())
    found = sorted(set().union(*every))
    listed = [cell.strip() for cell in next(csv.reader([wanted], skipinitialspace=True), [])]
    names = list(dict.fromkeys(cell for cell in listed if cell)) or found
    absent = [name for name in names if name not in found]
    if absent:
        raise DatasetError(f"label_columns names {absent}, which nobody in {root} has.")
    if not names:
        raise DatasetError(f"The files {_LABELS} in {root} name no attribute.")
    return tuple(names)


def _split_images(data_dir: Path, root: Path, split: str) -> set[str] | None:
    """The images of a split of the table; None for all."""
    if split == ALL:
        return None
    tables = [data_dir / f"splits{suffix}" for suffix in TABLE_SUFFIXES]
    file = next((path for path in tables if path.is_file()), None)
    if file is None:
        raise UnknownSplitError(
            f"Unknown split {split!r}: PETA's archive has none but {ALL!r} (--train_split={ALL}),"
            f" and there is no table {tables[0]} of the columns image and split."
        )
    columns = column_names(file)
    if not {"image", "split"} <= set(columns):
        raise DatasetError(f"{file} needs the columns image and split; found {columns}.")
    image, name = columns.index("image"), columns.index("split")
    images, found = set(), set()
    for row in table_rows(file):
        if len(row.values) != len(columns):
            reason = f"{len(row.values)} cells, but there are {len(columns)} columns."
            raise DatasetError(f"{file}, line {row.line}: {reason}")
        path = os.path.normpath(os.path.join(file.parent, str(row.values[image]).strip()))
        found.add(str(row.values[name]).strip())
        if str(row.values[name]).strip() == split:
            if not os.path.isfile(path) or not Path(path).is_relative_to(root):
                raise DatasetError(f"{file}, line {row.line}: {path} is no image of {root}.")
            images.add(path)
    if not images:
        raise UnknownSplitError(f"Unknown split {split!r} in {file}. Found: {sorted(found)}.")
    return images
