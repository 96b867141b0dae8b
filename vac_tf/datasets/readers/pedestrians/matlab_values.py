"""The values of a MATLAB file as `scipy.io.loadmat` gives them, taken out of their wrappings."""

from pathlib import Path
from typing import Any

import numpy as np

from vac_tf.datasets.split import DatasetError


def strings(value: Any, name: str, file: Path) -> list[str]:
    """A cell array of strings as a list.

    Raises:
        DatasetError: it is none, or empty; names `name` and the file.
    """
    # loadmat wraps every cell in an array of its own.
    cells = [np.ravel(cell) for cell in np.ravel(value)]
    if not cells or any(len(cell) != 1 or not isinstance(cell[0], str) for cell in cells):
        raise DatasetError(f"{file}: {name!r} must be a non-empty cell array of strings.")
    return [str(cell[0]) for cell in cells]


def fields(value: Any, name: str, file: Path) -> dict[str, Any]:
    """The fields of one struct, which may lie in a cell.

    Raises:
        DatasetError: it is no struct, or an array of several.
    """
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, np.ndarray) or not value.dtype.names or value.size != 1:
        raise DatasetError(f"{file}: {name!r} must be a struct.")
    record = value.reshape(-1)[0]
    return {field: record[field] for field in value.dtype.names}


def cells(value: Any, name: str, file: Path) -> list[Any]:
    """The cells of a cell array.

    Raises:
        DatasetError: it is none.
    """
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise DatasetError(f"{file}: {name!r} must be a cell array.")
    return list(value.reshape(-1))


def whole_numbers(value: Any, name: str, file: Path) -> np.ndarray:
    """A vector of whole numbers, int64 `[N]`.

    Raises:
        DatasetError: it holds anything else.
    """
    numbers = np.ravel(value) if isinstance(value, np.ndarray) else np.array([None])
    if numbers.dtype.kind not in "biuf" or not np.array_equal(numbers, np.trunc(numbers)):
        raise DatasetError(f"{file}: {name!r} must be a vector of whole numbers.")
    return numbers.astype(np.int64)


def matrix(value: Any, name: str, rows: int, columns: int, file: Path) -> np.ndarray:
    """A numeric matrix `[rows, columns or more]`, as it is.

    Raises:
        DatasetError: it is none, or of another shape.
    """
    is_matrix = isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.ndim == 2
    if not is_matrix or len(value) != rows or value.shape[1] < columns:
        received = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else value
        raise DatasetError(
            f"{file}: {name!r} must be a numeric matrix of shape {(rows, columns)} (images,"
            f" attributes), got {received}."
        )
    return value
