"""Which columns of a Hugging Face data set are labels, and what their values say."""

import csv
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vac_tf.datasets.split import DatasetError

_LISTS = ("List", "LargeList", "Sequence")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class BadValueError(Exception):
    """Why a row cannot be used."""


@dataclasses.dataclass(frozen=True)
class LabelColumn:
    """A column of labels.

    Attributes:
        name: of the column.
        classes: the names of its classes; empty: the column is one label, true or not.
        is_list: whether a row has any number of the classes, or one.
    """

    name: str
    classes: tuple[str, ...] = ()
    is_list: bool = False

    def values(self, value: Any) -> list[float]:
        """The labels of a row: 1, 0 or NaN.

        Raises:
            BadValueError: it is none of them.
        """
        count = len(self.classes) or 1
        # Of a single class, -1 is that of test sets whose labels are kept.
        if value is None or (self.classes and not self.is_list and value == -1):
            return [math.nan] * count
        if not self.classes:
            if value not in (0, 1):
                raise BadValueError(f"column {self.name!r} must be true, false or null: {value!r}.")
            return [float(value)]
        labels = np.zeros(count)
        if self.is_list and not isinstance(value, list):
            raise BadValueError(f"column {self.name!r} must be a list: {value!r}.")
        for number in value if self.is_list else [value]:
            if not isinstance(number, int) or not 0 <= number < count:
                reason = f"{number!r} is none of its {count} classes"
                raise BadValueError(f"column {self.name!r}: {reason}.")
            labels[number] = 1.0
        return labels.tolist()


def find_label_columns(
    features: Mapping[str, Any], wanted: str, ignored: str, others: tuple[str, ...], where: str
) -> list[LabelColumn]:
    """The columns that are labels, in the order of the features.

    They are lists of ClassLabel, single ClassLabels and booleans; whole numbers (0 and 1) where
    they are named.

    Args:
        features: of the data set, by column.
        wanted: names of the columns, separated by commas; empty: all of these kinds.
        ignored: names of columns to leave out.
        others: columns that are no labels.
        where: what errors name.

    Raises:
        DatasetError: there is none, or a named one is of another kind.
    """
    named, left_out = _names(wanted), _names(ignored)
    absent = [name for name in (*named, *left_out) if name not in features]
    if absent:
        raise DatasetError(f"{where} has no columns {absent}; found {list(features)}.")
    columns = []
    for name in named or [each for each in features if each not in (*left_out, *others)]:
        column = _column(name, features[name], is_named=bool(named))
        if column is not None:
            columns.append(column)
        elif named:
            raise DatasetError(
                f"{where}: column {name!r} cannot be labels. Expected a list of ClassLabel, a"
                " ClassLabel, booleans or whole numbers."
            )
    if not columns:
        raise DatasetError(
            f"{where} has no labels: expected a list of ClassLabel, a ClassLabel or booleans;"
            f" found {list(features)}. Name columns of 0 and 1 with --label_columns."
        )
    return columns


def label_names(columns: list[LabelColumn], where: str) -> tuple[str, ...]:
    """Names of the labels: of several columns of classes as `column:class`.

    Raises:
        DatasetError: two are alike.
    """
    is_one = sum(bool(column.classes) for column in columns) == 1
    names: list[str] = []
    for column in columns:
        prefix = "" if is_one else f"{column.name}:"
        names += [f"{prefix}{each}" for each in column.classes] or [column.name]
    repeated = sorted({name for name in names if names.count(name) > 1 or not name.strip()})
    if repeated:
        raise DatasetError(f"{where}: labels must have names of their own, got {repeated}.")
    return tuple(names)


def _column(name: str, feature: Any, is_named: bool) -> LabelColumn | None:
    if isinstance(feature, list) and len(feature) == 1:
        feature = {"_type": _LISTS[0], "feature": feature[0]}
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in _LISTS:
        inner = feature.get("feature")
        classes = _classes(inner) if isinstance(inner, dict) else ()
        return LabelColumn(name, classes, is_list=True) if classes else None
    if classes := _classes(feature):
        return LabelColumn(name, classes)
    is_number = is_named and feature.get("dtype") in _INTEGERS
    is_label = feature.get("_type") == "Value" and (feature.get("dtype") == "bool" or is_number)
    return LabelColumn(name) if is_label else None


def _classes(feature: Mapping[str, Any]) -> tuple[str, ...]:
    names = feature.get("names")
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if feature.get("_type") == "ClassLabel" and is_list else ()


def _names(flag: str) -> list[str]:
    cells = next(csv.reader([flag], skipinitialspace=True), [])
    return [cell.strip() for cell in cells if cell.strip()]
