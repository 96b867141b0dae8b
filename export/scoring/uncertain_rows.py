"""The rows of a finished output that are least certain."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from export.bundle.label_groups import distance_to_other_decision
from export.scoring.engine.job_record import Job
from export.scoring.output.row_reader import ReadRow, read_rows

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


def least_certain(output: str, job: Job, count: int, measure: str) -> list[UncertainRow]:
    """The so many rows that are least certain, the least first; of equal ones the earlier.

    A row is as certain as its least certain label. Rows without scores are passed over; an image
    that the output has several times counts once.

    Args:
        output: The finished output.
        job: What wrote it; with a column per label.
        count: How many rows.
        measure: `margin`: how much the probability of a label must change for another decision, to
            its threshold or, in a group of labels, to the next one; `stability`: as in the rows.

    Raises:
        ValueError: for `stability`, when the rows have none.
    """
    if measure == "stability" and not job.columns.has_stability:
        raise ValueError(
            f"{output!r} has no stability, which --uncertain_by needs: that is of models that were"
            " exported with --tta. Give --uncertain_by=margin."
        )
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
