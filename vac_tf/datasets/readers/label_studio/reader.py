"""A labelled export of Label Studio as a split, with who labelled what and when."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from vac_tf.datasets.readers.image_files import FolderListings
from vac_tf.datasets.readers.json_file import read_annotations
from vac_tf.datasets.readers.jsonl import LABELS_FILE, listed_names
from vac_tf.datasets.readers.label_studio.tasks import (
    Answer,
    TaskError,
    answers_of,
    image_of,
    task_number,
)
from vac_tf.datasets.split import (
    DatasetError,
    Provenance,
    RejectedRow,
    Split,
    UnknownSplitError,
    nothing_usable,
    report_bad_row,
)

_SUFFIX = ".json"
_LOGGER = logging.getLogger(__name__)


def read_label_studio(
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    keep_missing: bool = False,
) -> Split:
    """Reads `data_dir/SPLIT.json`, an export of Label Studio in its format JSON.

    A task is a picture: `data.path` (what `score.py --send_uncertain` writes) or `data.image`, a
    path relative to `data_dir` or absolute, or a URL of local files. The labels are the choices of
    its annotations; one that was not chosen is absent. Of each annotator the latest annotation of
    a picture counts, in whatever task; where annotators differ on a label, it is unknown. Tasks
    that nobody labelled, and annotations that were skipped, are left out.

    `labels.txt` beside it names the labels in order, one a line (`OUTPUT.uncertain.labels.txt` of
    `score.py`); without it they are all that were chosen in the folder's `.json` files, sorted.

    Args:
        data_dir: folder of the files.
        split: name of the file, without `.json`.
        rejected: as `vac_tf.datasets.read_split`.
        keep_missing: keep tasks whose image file is missing.

    Returns:
        One example a picture, with its provenance.

    Raises:
        DatasetError: no such file, another format of export, no usable task, or a bad one (a label
            that `labels.txt` does not name, a missing picture); file and task are named.
    """
    path = os.path.join(data_dir, split + _SUFFIX)
    if not os.path.isfile(path):
        raise _unknown_split(data_dir, split)
    names = listed_names(data_dir) or _chosen_anywhere(data_dir)
    known, listings = set(names), FolderListings(keep_missing)
    answers: dict[str, list[Answer]] = {}
    unlabelled = 0
    for place, task in enumerate(_tasks(path)):
        number = task_number(task, place)
        try:
            found = answers_of(task, number)
            image = os.path.normpath(os.path.join(data_dir, image_of(task)))
            _check(found, known, data_dir, image, listings)
        except TaskError as error:
            report_bad_row(rejected, path, f"task {number}", str(error), error.kind)
            continue
        unlabelled += not found
        if found:
            answers.setdefault(image, []).extend(found)
    if unlabelled:
        _LOGGER.info("%s: %d tasks that nobody labelled are left out.", path, unlabelled)
    if not answers:
        raise nothing_usable(f"{path} has no labelled task.", rejected)
    latest = [_latest_of_each(given) for given in answers.values()]
    return Split(
        tuple(answers),
        np.stack([_labels(given, names) for given in latest]),
        names,
        provenance=tuple(map(_provenance, latest)),
        name=split,
        dataset="label_studio",
    )


def _tasks(path: str) -> list[dict[str, Any]]:
    tasks = read_annotations(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DatasetError(f"{path}: expected a list of tasks, Label Studio's export format JSON.")
    if tasks and not any("annotations" in task for task in tasks):
        kind = "in the format JSON-MIN" if "annotation_id" in tasks[0] else "without annotations"
        raise DatasetError(
            f"{path} is a list of tasks {kind}. Export the project from Label Studio as JSON."
        )
    return tasks


def _check(answers: Sequence[Answer], known, data_dir, image, listings) -> None:
    chosen = set().union(*(answer.choices for answer in answers))
    if strange := sorted(chosen - known):
        raise TaskError(
            f"{strange[0]!r} is no label of {os.path.join(data_dir, LABELS_FILE)}. Add it there, or"
            " mend the choices of the labeling interface.",
            "unknown label",
        )
    if answers and not listings.is_usable(image):
        raise TaskError(f"image file {image} is missing.", "missing image")


def _chosen_anywhere(data_dir) -> tuple[str, ...]:
    found: set[str] = set()
    for name in _files(data_dir):
        for place, task in enumerate(_tasks(os.path.join(data_dir, name))):
            try:
                answers = answers_of(task, task_number(task, place))
            except TaskError:
                continue  # Said where the split of the task is read.
            found.update(*(answer.choices for answer in answers))
    if not found:
        raise DatasetError(
            f"No label was chosen in the {_SUFFIX} files of {data_dir}, and there is no"
            f" {LABELS_FILE}."
        )
    return tuple(sorted(found))


def _latest_of_each(answers: Sequence[Answer]) -> list[Answer]:
    """The last answer of each annotator; of equal times that which comes later in the file."""
    in_order = sorted(answers, key=lambda answer: answer.time)
    return list({answer.annotator: answer for answer in in_order}.values())


def _labels(answers: Sequence[Answer], names: Sequence[str]) -> np.ndarray:
    chosen = np.array([[name in answer.choices for name in names] for answer in answers])
    agree = (chosen == chosen[0]).all(axis=0)
    return np.where(agree, chosen[0], np.nan).astype(np.float32)


def _provenance(answers: Sequence[Answer]) -> Provenance:
    return Provenance(
        tasks=tuple(dict.fromkeys(answer.task for answer in answers)),
        annotators=tuple(answer.annotator for answer in answers),
        time=max(answer.time for answer in answers),
    )


def _unknown_split(data_dir, split):
    if not os.path.isdir(data_dir):
        return DatasetError(f"There is no folder {data_dir}.")
    there = sorted(name.removesuffix(_SUFFIX) for name in _files(data_dir))
    return UnknownSplitError(
        f"Unknown split {split!r}: there is no {split}{_SUFFIX} in {data_dir}; there is"
        f" {', '.join(there) or 'no such file'}."
    )


def _files(data_dir):
    return sorted(name for name in os.listdir(data_dir) if name.endswith(_SUFFIX))
