"""The column of a table that says what its rows count for in training."""

import math

from vac_tf.datasets.readers.table_file import TableRow
from vac_tf.datasets.readers.table_labels import BadRowError, cell_text


class WeightColumn:
    """Reads the cells of the column of weights, where the table has it.

    Args:
        columns: names of the columns of the table.
        name: of that of the weights, or empty.
    """

    def __init__(self, columns: list[str], name: str):
        self._name = name
        self._index = columns.index(name) if name in columns else None
        self.is_there = self._index is not None

    def read(self, row: TableRow) -> float:
        """The weight of a row; 1 without the column. BadRowError for one that is none."""
        if self._index is None:
            return 1.0
        received = row.values[self._index]
        try:
            weight = float(cell_text(received))
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise BadRowError(
                f"column {self._name!r} (--weight_column) must hold a number that is not negative,"
                f" got {received!r}.",
                "weight",
            )
        return weight
