"""The least certain pictures of a job as tasks for Label Studio, with where the network looked."""

import dataclasses
import logging
from collections.abc import Iterable, Sequence

import numpy as np

from export.files.atomic_file import replace_file
from export.images.image_header import ImageError
from export.scoring.config import ScoringConfig
from export.scoring.engine.finished_output import read_manifest
from export.scoring.engine.job_record import START_SETTING
from export.scoring.output.annotation_formats import (
    BoxedTask,
    PercentBox,
    label_studio_box_interface,
    label_studio_box_tasks,
)
from export.scoring.output.heatmap_peaks import PIXEL_FIELDS, describe_peaks
from export.scoring.output.rows import printable_path
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.image_file import ImageView, load_view
from export.scoring.sources.input import ScoringInput
from export.scoring.sources.open_source import open_source
from export.scoring.uncertain_rows import UncertainRow, check_sendable, least_certain

_BATCH = 32
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SentReport:
    """What was written: the file, and its number of pictures."""

    path: str
    images: int

    def __str__(self) -> str:
        return f"{self.images} least certain images -> {printable_path(self.path)}"


def uncertain_file(output: str, suffix: str) -> str:
    """A file beside an output: `.json` tasks, `.xml` interface, `.labels.txt` names."""
    return f"{output}.uncertain{suffix}"


def send_uncertain(config: ScoringConfig) -> SentReport:
    """Writes the tasks, the labeling interface and the names of the labels beside the output.

    Args:
        config: The job, whose output is finished.

    Raises:
        ValueError: when the rows cannot be sent, or the output has no manifest.
        WriteError: when a file cannot be written: the disk is full.
    """
    manifest = read_manifest(config.output)
    if manifest is None:
        raise ValueError(
            f"{config.output!r} has no manifest of a finished job, which --send_uncertain needs."
            " Finish the job first."
        )
    columns = manifest.job.columns
    check_sendable(columns, config.uncertain_by)
    chosen = least_certain(config.output, manifest.job, config.send_uncertain, config.uncertain_by)
    tasks = _with_boxes(config, chosen)
    path = uncertain_file(config.output, ".json")
    pieces = {
        uncertain_file(config.output, ".xml"): [label_studio_box_interface(columns.label_names)],
        uncertain_file(config.output, ".labels.txt"): [f"{name}\n" for name in columns.label_names],
        path: label_studio_box_tasks(
            tasks,
            manifest.job.settings["model_sha256"],
            config.uncertain_by,
            config.image_prefix,
            config.image_root or manifest.job.settings.get(START_SETTING, ""),
        ),
    }
    for name, texts in pieces.items():
        with replace_file(name) as file:
            for text in texts:
                file.write(text.encode())
    return SentReport(path, len(tasks))


def _with_boxes(config: ScoringConfig, rows: Sequence[UncertainRow]) -> list[BoxedTask]:
    """The rows with boxes of their decided labels and of the least certain one."""
    if not rows:
        return []
    session = NetworkSession(config.model, config.providers, config.gpu_memory_mb, config.threads)
    inputs = _find_inputs(config, {uncertain.row.image for uncertain in rows})
    tasks: list[BoxedTask] = []
    problems: list[str] = []
    for batch in (rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH)):
        found = [_load(inputs.get(own.row.image), session, config, problems) for own in batch]
        views = [view for view in found if view is not None]
        maps = iter(_heatmaps(session, views))
        for uncertain, view in zip(batch, found, strict=True):
            boxes = []
            if view is not None:
                boxes = _boxes(uncertain, next(maps), view.corners, session)
            row, label = uncertain.row, uncertain.label
            tasks.append(BoxedTask(row.image, row.decided, label, uncertain.certainty, boxes))
    if problems:
        _LOGGER.warning(
            "%d of %d tasks have no boxes: their pictures cannot be read any more, the first: %s",
            len(problems),
            len(rows),
            problems[0],
        )
    return tasks


def _heatmaps(session: NetworkSession, views: Sequence[ImageView]) -> Iterable[np.ndarray]:
    """The heatmaps `[h, w, L]` of each view."""
    if not views:
        return ()
    return session.run(np.stack([view.values for view in views]), ("heatmaps",))["heatmaps"]


def _find_inputs(config: ScoringConfig, names: set[str]) -> dict[str, ScoringInput]:
    source = open_source(config.images, config.image_root, config.read_limits)
    wanted = (value for value in source.read() if printable_path(value.image) in names)
    return {printable_path(value.image): value for value in wanted}


def _load(
    scoring_input: ScoringInput | None,
    session: NetworkSession,
    config: ScoringConfig,
    problems: list[str],
) -> ImageView | None:
    """What the network sees of an input; None, and an entry in `problems`, where it is gone."""
    try:
        if scoring_input is None:
            raise ImageError("missing", f"It is no longer in {config.images!r}.")
        preprocessing = session.description.preprocessing
        return load_view(scoring_input, preprocessing, limits=config.read_limits)
    except ImageError as error:
        problems.append(str(error))
        return None


def _boxes(
    uncertain: UncertainRow,
    heatmaps: np.ndarray,
    corners: Sequence[int],
    session: NetworkSession,
) -> list[PercentBox]:
    names = session.description.label_names
    labels = list(dict.fromkeys([uncertain.label, *uncertain.row.decided]))
    columns = [names.index(label) for label in labels]
    of_each = np.array([corners] * len(labels))
    _, places = describe_peaks(heatmaps[:, :, columns], of_each)
    width, height = corners[2], corners[3]
    sides = [PIXEL_FIELDS.index(name) for name in ("x", "y", "w", "h")]
    percent = 100.0 / np.array([width, height, width, height])
    return [
        PercentBox(label, (width, height), tuple(map(float, box)))
        for label, box in zip(labels, (places[:, sides] * percent).round(4), strict=True)
        if np.isfinite(box).all()
    ]
