"""A split as a CSV table: its labels, and where they come from."""

import csv
import io
import os

import numpy as np

from vac_tf.datasets.split import Split
from vac_tf.runs.folder import write_atomically

PROVENANCE_COLUMNS = ("tasks", "annotators", "labelled")
_SEPARATOR = "|"


def write_table(split: Split, path: str | os.PathLike) -> None:
    """Writes `image`, a column per label (1, 0, empty for unknown), and where labels come from.

    `--dataset=table --ignore_columns=tasks,annotators,labelled` reads it again.

    Args:
        split: whole images, from `read_label_studio`, say; without provenance those columns stay
            away.
        path: of the CSV file, in a folder that exists; images are written as absolute paths.

    Raises:
        ValueError: when a label has the name of another column, or examples are boxes.
    """
    has_provenance = split.provenance is not None
    columns = ["image", *(PROVENANCE_COLUMNS if has_provenance else ())]
    if taken := set(split.label_names) & set(columns):
        raise ValueError(f"The labels {sorted(taken)} have the names of other columns.")
    if split.boxes is not None:
        raise ValueError("The examples are boxes; expected whole images.")
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image", *split.label_names, *columns[1:]])
    for number, image in enumerate(split.image_paths):
        labels = ["" if np.isnan(value) else int(value) for value in split.labels[number]]
        source: list[str] = []
        if split.provenance is not None:
            own = split.provenance[number]
            source = [_SEPARATOR.join(own.tasks), _SEPARATOR.join(own.annotators), own.time]
        rows.writerow([os.path.abspath(image), *labels, *source])
    write_atomically(str(path), text.getvalue().encode(errors="surrogateescape"))
