"""What the parts of one output have in common: its job, as job.json and its manifest hold it."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.bundle.label_groups import LabelGroup, groups_from_json
from export.scoring.output.rows import Columns

RETRY_SETTING = "retry_errors"  # Of a job that scores again some rows of a finished output.
START_SETTING = "relative_to"  # Where relative paths start; earlier versions did not write it.


@dataclasses.dataclass(frozen=True)
class Job:
    """What all parts of an output must have in common.

    Attributes:
        settings: Plain values by name; a difference in any of them makes other scores.
        columns: Columns of the output.
        rows: Number of rows of the whole job.
    """

    settings: Mapping[str, Any]
    columns: Columns
    rows: int

    @property
    def thresholds(self) -> np.ndarray:
        """float32 `[L]`; a label is decided when its probability is above its own."""
        return np.array(self.settings["thresholds"], np.float32)

    @property
    def label_groups(self) -> tuple[LabelGroup, ...]:
        """Labels of which the most probable is decided."""
        groups = self.settings.get("label_groups", [])
        return groups_from_json(groups, self.columns.label_names)

    def to_json(self) -> dict[str, Any]:
        """The job as plain values."""
        columns = dataclasses.asdict(self.columns)
        if not self.columns.has_stability:  # As earlier versions wrote it.
            del columns["has_stability"]
        columns["label_names"] = list(self.columns.label_names)
        return {"rows": self.rows, "settings": dict(self.settings), "columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Reads `to_json` back.

        Raises:
            KeyError, TypeError: something is missing, or of another type.
        """
        settings, rows = values["settings"], values["rows"]
        columns = dict(values["columns"], label_names=tuple(values["columns"]["label_names"]))
        has_types = isinstance(settings, dict) and type(rows) is int
        if not has_types or not all(isinstance(name, str) for name in columns["label_names"]):
            raise TypeError("expected settings by name, a number of rows and names of labels")
        return cls(settings, Columns(**columns), rows)

    def differences(self, other: "Job", is_of_one_host: bool = True) -> list[str]:
        """What differs, one line each: the name, the value here, the value there.

        Args:
            other: A job.
            is_of_one_host: Whether relative paths start in the same folder, if both say where;
                shards of several hosts may have their images in different places.
        """
        here, there = (
            dict(job.settings, rows=job.rows, has_boxes=job.columns.has_boxes)
            for job in (self, other)
        )
        if not (is_of_one_host and START_SETTING in here and START_SETTING in there):
            here.pop(START_SETTING, None)
            there.pop(START_SETTING, None)
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        return [
            f"{name} was {_short(there.get(name))}, is {_short(here.get(name))}" for name in names
        ]


def parse_job(data: bytes, path: str) -> Job:
    """Reads the contents of a job's file; ValueError, naming `path`, when it is none."""
    try:
        return Job.from_json(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path!r} is not the state of a job of this version ({type(error).__name__}: {error})."
            " Remove its folder to start afresh."
        ) from error


def _short(value: Any) -> str:
    text = json.dumps(value)
    # Of long paths the ends differ.
    return text if len(text) <= 80 else f"{text[:38]}...{text[-39:]}"
