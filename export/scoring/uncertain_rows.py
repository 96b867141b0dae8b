"""The rows of a finished output whose decisions are closest to being others."""

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
    """A row and how close one of its decisions is to being another.

    Attributes:
        row: The row.
        label: The label that is closest.
        margin: How much its probability must change for that.
    """

    row: ReadRow
    label: str
    margin: float


def least_certain(output: str, job: Job, count: int) -> list[UncertainRow]:
    """The so many rows with the smallest margins, the smallest first; of equal ones the earlier.

    The margin of a row is the smallest of its labels: from a probability to the label's threshold,
    in a group of labels to the next decision. Rows without scores have none; an image that the
    output has several times counts once.

    Args:
        output: The finished output.
        job: What wrote it; with a column per label.
        count: How many rows.
    """
    best: dict[str, UncertainRow] = {}
    for uncertain in _rows_with_margins(output, job):
        known = best.get(uncertain.row.image)
        if known is None or uncertain.margin < known.margin:
            best[uncertain.row.image] = uncertain
        if len(best) > count + _ROWS_AT_ONCE:
            best = _smallest(best, count)
    return list(_smallest(best, count).values())


def _smallest(rows: dict[str, UncertainRow], count: int) -> dict[str, UncertainRow]:
    return dict(sorted(rows.items(), key=lambda pair: pair[1].margin)[:count])


def _rows_with_margins(output: str, job: Job) -> Iterator[UncertainRow]:
    columns, thresholds, groups = job.columns, job.thresholds, job.label_groups
    read = read_rows(output, job.settings["format"], columns, with_probabilities=True)
    scored = (row for row in read if row.status == "ok")
    while rows := list(itertools.islice(scored, _ROWS_AT_ONCE)):
        probabilities = np.array([row.probabilities for row in rows], np.float32)
        distances = distance_to_other_decision(probabilities, thresholds, groups)
        labels, margins = distances.argmin(axis=1), distances.min(axis=1)
        for row, label, margin in zip(rows, labels.tolist(), margins.tolist(), strict=True):
            yield UncertainRow(row, columns.label_names[label], margin)
