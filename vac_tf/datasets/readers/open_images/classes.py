"""The classes of Open Images: ids such as /m/01yrx, and their names."""

import collections
import csv
from pathlib import Path

from vac_tf.datasets.readers.text_lines import text_lines
from vac_tf.datasets.split import DatasetError

# Of the release, of its part with boxes, and of FiftyOne's copy.
_FILES = ("*class-descriptions*.csv", "metadata/classes.csv", "metadata/*class-descriptions*.csv")


def read_classes(data_dir: Path, wanted: str) -> dict[str, str]:
    """Name of each class by its id, in the order of the file.

    Args:
        data_dir: folder of the dataset.
        wanted: the names or ids of the classes to keep, separated by commas (a name with a comma
            in quotes); empty: all of the file.

    Raises:
        DatasetError: the file is missing or damaged, or a wanted class is not in it.
    """
    file = _find_file(data_dir)
    names: dict[str, str] = {}
    for line, text in text_lines(file):
        cells = [cell.strip() for cell in next(csv.reader([text]))]
        if line == 1 and cells[0] == "LabelName":
            continue  # Later releases have a line of column names.
        if len(cells) != 2 or not all(cells):
            raise DatasetError(
                f"{file}, line {line}: expected an id and a name, got {text[:60]!r}."
            )
        if cells[0] in names:
            raise DatasetError(f"{file}, line {line}: class {cells[0]} occurs twice.")
        names[cells[0]] = cells[1]
    counts = collections.Counter(names.values())
    names = {key: f"{name} ({key})" if counts[name] > 1 else name for key, name in names.items()}
    if not names:
        raise DatasetError(f"{file} names no class.")
    return _kept(names, wanted, file)


def _find_file(data_dir: Path) -> Path:
    found = sorted({path for pattern in _FILES for path in data_dir.glob(pattern)})
    if len(found) == 1:
        return found[0]
    if found:
        paths = ", ".join(str(path) for path in found)
        raise DatasetError(f"Several files name the classes: {paths}. Keep the one that is meant.")
    raise DatasetError(
        f"There is no file of classes in {data_dir}. Expected class-descriptions.csv (or"
        " oidv7-class-descriptions.csv, class-descriptions-boxable.csv, metadata/classes.csv)."
    )


def _kept(names: dict[str, str], wanted: str, file: Path) -> dict[str, str]:
    listed = [cell.strip() for cell in next(csv.reader([wanted], skipinitialspace=True), [])]
    listed = [cell for cell in listed if cell]
    absent = sorted(set(listed) - set(names) - set(names.values()))
    if absent:
        raise DatasetError(f"label_columns names {absent}, which are no classes of {file}.")
    if not listed:
        return names
    return {key: name for key, name in names.items() if key in listed or name in listed}
