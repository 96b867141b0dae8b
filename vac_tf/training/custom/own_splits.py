"""Splits of a caller, kept in the run folder, so that a run has its images by itself."""

import dataclasses
import os

from vac_tf.datasets.readers.jsonl import write_jsonl
from vac_tf.datasets.run_splits import RunSplits
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run_data import RunData


@dataclasses.dataclass(frozen=True)
class OwnSplitsData(RunData):
    """`RunData` of splits that no dataset names."""

    splits: RunSplits | None = None

    def record(self, folder: RunFolder) -> None:
        """Writes them as the dataset `jsonl` that the run's config names, too."""
        super().record(folder)
        os.makedirs(folder.file("splits"), exist_ok=True)
        for name, split in (("train", self.splits.train), ("val", self.splits.validation)):
            write_jsonl(split, folder.file(os.path.join("splits", f"{name}.jsonl")))


def keep_splits(data: RunData, splits: RunSplits) -> RunData:
    """The same data, which also records its splits."""
    fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(RunData)}
    return OwnSplitsData(**fields, splits=splits)
