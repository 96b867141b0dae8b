"""The rows of a finished output that are least certain."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from export.bundle.label_groups import distance_to_other_decision
from export.scoring.engine.job_record import Job
from export.scoring.output.row_reader import ReadRow, read_rows
from export.scoring.output.rows import Columns

_ROWS_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class UncertainRow:
    """A row and how certain its least certain label is.

    Attributes:
        row: The row.
        label: The label.
        certainty: Its margin or its stability; the smaller, the less certain.
    """

    row: ReadRow
    label: str
    certainty: float


def check_sendable(columns: Columns, measure: str, has_members: bool = False) -> None:
    """Finds out whether the least certain rows of an output could become tasks.

    Args:
        columns: Of the output.
        measure: As of `least_certain`.
        has_members: Whether its images are members of a tar.

    Raises:
        ValueError: for rows of boxes or of members of a tar, or without the measure.
    """
    if columns.has_boxes:
        raise ValueError(
            "--send_uncertain is of whole images, and these rows are boxes. Score a list without"
            " the columns x, y, w, h."
        )
    if has_members:
        raise ValueError(
            "--send_uncertain shows pictures to people, and these are members of a tar, which no"
            " task can show. Unpack them, and score the folder."
        )
    if measure == "stability" and not columns.has_stability:
        raise ValueError(
            "--uncertain_by=stability needs a model that was exported with --tta. Give"
            " --uncertain_by=margin."
        )


def least_certain(output: str, job: Job, count: int, measure: str) -> list[UncertainRow]:
    """The so many rows that are least certain, the least first; of equal ones the earlier.

    A row is as certain as its least certain label. Rows without scores are passed over; an image
    that the output has several times counts once.

    Args:
        output: The finished output.
        job: What wrote it; with a column per label.
        count: How many rows.
        measure: `margin`: how much the probability of a label must change for another decision, to
            its threshold or, in a group of labels, to the next one; `stability`: as in the rows,
            which must have it.
    """
    best: dict[str, UncertainRow] = {}
    for uncertain in _rows_with_certainty(output, job, measure):
        known = best.get(uncertain.row.image)
        if known is None or uncertain.certainty < known.certainty:
            best[uncertain.row.image] = uncertain
        if len(best) > count + _ROWS_AT_ONCE:
            best = _smallest(best, count)
    return list(_smallest(best, count).values())


def _smallest(rows: dict[str, UncertainRow], count: int) -> dict[str, UncertainRow]:
    return dict(sorted(rows.items(), key=lambda pair: pair[1].certainty)[:count])


def _rows_with_certainty(output: str, job: Job, measure: str) -> Iterator[UncertainRow]:
    columns, thresholds, groups = job.columns, job.thresholds, job.label_groups
    names = columns.labels if measure == "margin" else columns.stability
    read = read_rows(output, job.settings["format"], columns, names)
    scored = (row for row in read if row.status == "ok")
    while rows := list(itertools.islice(scored, _ROWS_AT_ONCE)):
        values = np.array([row.numbers for row in rows], np.float32)
        if measure == "margin":
            values = distance_to_other_decision(values, thresholds, groups)
        labels, certainties = values.argmin(axis=1).tolist(), values.min(axis=1).tolist()
        for row, label, certainty in zip(rows, labels, certainties, strict=True):
            yield UncertainRow(row, columns.label_names[label], certainty)
