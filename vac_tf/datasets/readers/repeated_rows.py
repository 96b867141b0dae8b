"""Rows of a table that repeat the image, and the box, of an earlier row."""

import logging
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.table_labels import BadRowError
from vac_tf.datasets.split import DatasetError, RejectedRow

_LOGGER = logging.getLogger(__name__)

POLICIES = ("error", "first", "all")
_KIND = "repeated image"


class RepeatedRows:
    """Decides which rows stay: the first of each image, all, or none but with an error.

    Args:
        file: the table.
        policy: one of `POLICIES`.

    Raises:
        DatasetError: for another policy.
    """

    def __init__(self, file: Path, policy: str):
        if policy not in POLICIES:
            raise DatasetError(
                f"Unknown repeated_images {policy!r}. Expected one of: {', '.join(POLICIES)}."
            )
        self._file = str(file)
        self._policy = policy
        self._first: dict[Hashable, tuple[int, Sequence[float]]] = {}
        self._left_out: list[RejectedRow] = []
        self._contradictions = 0

    def keeps(self, key: Hashable, name: str, line: int, labels: Sequence[float]) -> bool:
        """Whether the row in `line`, of the image and box `key`, is to be used.

        Raises:
            BadRowError: when it repeats another and that is an error.
        """
        first_line, first_labels = self._first.setdefault(key, (line, labels))
        if first_line == line or self._policy == "all":
            return True
        differs = not np.array_equal(first_labels, labels, equal_nan=True)
        place = f"line {first_line}{', with other labels' if differs else ''}"
        reason = f"the same image twice: {name!r} is already in {place} (--repeated_images)."
        if self._policy == "error":
            raise BadRowError(reason, _KIND)
        self._contradictions += differs
        self._left_out.append(RejectedRow(self._file, line, reason, _KIND, is_allowed=True))
        return False

    def report(self, rejected: list[RejectedRow] | None) -> None:
        """Lists the rows left out in `rejected` or, where that is None, warns of their number."""
        if rejected is not None:
            rejected.extend(self._left_out)
        elif self._left_out:
            _LOGGER.warning(
                "%s: %d rows repeat an image of an earlier row (%d of them with other labels), the"
                " first in line %s; only the earlier row is used (--repeated_images).",
                self._file,
                len(self._left_out),
                self._contradictions,
                self._left_out[0].line,
            )
