"""Turns the rows of a finished output into what another program imports."""

import dataclasses
from collections.abc import Iterator

from export.files.atomic_file import replace_file
from export.scoring.config import ScoringConfig
from export.scoring.engine.finished_output import Manifest, read_manifest
from export.scoring.engine.job_record import START_SETTING
from export.scoring.output.annotation_formats import (
    HASH_DIGITS,
    fiftyone_labels,
    label_studio_interface,
    label_studio_tasks,
)
from export.scoring.output.row_reader import ReadRow, read_rows
from export.scoring.output.rows import printable_path


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What was converted: the file, its number of images, and of rows without scores."""

    path: str
    images: int
    left_out: int

    def __str__(self) -> str:
        left_out = f"; {self.left_out} rows without scores are left out" if self.left_out else ""
        return f"{self.images} images -> {printable_path(self.path)}{left_out}"


def convert(config: ScoringConfig) -> ConversionReport:
    """Writes `OUTPUT.fiftyone.json`, or `OUTPUT.label_studio.json` and its labeling configuration.

    An image that the job had several times is there once for FiftyOne, as it was last.

    Raises:
        ValueError: when the output is not that of a finished job, or its rows are boxes.
        WriteError: when a file cannot be written: the disk is full.
    """
    manifest = _read_finished(config.output)
    columns, path = manifest.job.columns, f"{config.output}.{config.convert}.json"
    counter = _ScoredRows()
    rows = counter.scored(read_rows(config.output, manifest.job.settings["format"], columns))
    if config.convert == "fiftyone":
        start = config.image_root or manifest.job.settings.get(START_SETTING, "")
        pieces = fiftyone_labels(rows, columns.label_names, start)
    else:
        version = manifest.job.settings["model_sha256"][:HASH_DIGITS]
        pieces = label_studio_tasks(rows, version, config.image_prefix)
        _write(
            f"{config.output}.{config.convert}.xml", [label_studio_interface(columns.label_names)]
        )
    _write(path, pieces)
    return ConversionReport(path, counter.images, counter.left_out)


def _write(path: str, pieces: Iterator[str] | list[str]) -> None:
    with replace_file(path) as file:
        for piece in pieces:
            file.write(piece.encode())


class _ScoredRows:
    """Passes rows with scores on, and counts them and the others."""

    def __init__(self) -> None:
        self.images = self.left_out = 0

    def scored(self, rows: Iterator[ReadRow]) -> Iterator[ReadRow]:
        for row in rows:
            if row.status == "ok":
                self.images += 1
                yield row
            else:
                self.left_out += 1


def _read_finished(output: str) -> Manifest:
    manifest = read_manifest(output)
    if manifest is None or not manifest.fits(output):
        raise ValueError(
            f"{output!r} is no finished output of score.py with its manifest beside it, which"
            " --convert needs. Finish the job first, without --convert."
        )
    if manifest.job.columns.has_boxes:
        raise ValueError(
            f"{output!r} has rows of boxes, and --convert is of whole images. Score a list without"
            " the columns x, y, w, h."
        )
    return manifest
