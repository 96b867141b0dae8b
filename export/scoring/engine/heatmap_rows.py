"""The heatmaps of a batch's decided labels, as values of the column `peaks` and as files."""

import csv
import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from export.bundle.label_groups import LabelGroup, distance_to_other_decision
from export.files.atomic_file import sync_file_system
from export.scoring.config import ScoringConfig
from export.scoring.decoding.loading import LoadedInput
from export.scoring.output.heatmap_files import (
    file_name,
    remove_leftovers,
    write_map,
    write_overlay,
)
from export.scoring.output.heatmap_peaks import Peaks, describe_peaks
from export.scoring.output.rows import RowBlock
from export.scoring.sources.recursive_glob import matches


def selected_labels(text: str, label_names: Sequence[str]) -> np.ndarray:
    """Which labels `--heatmap_labels` names, bool `[L]`; an empty text names all.

    Raises:
        ValueError: for a name that is no label.
    """
    try:
        names = next(csv.reader([text], skipinitialspace=True), []) or list(label_names)
    except csv.Error as error:
        raise ValueError(f"--heatmap_labels is {text!r}: {error}.") from error
    unknown = [name for name in names if name not in label_names]
    if unknown:
        raise ValueError(
            f"--heatmap_labels has no labels of the model: {', '.join(unknown)}. Expected some of:"
            f" {', '.join(label_names)}."
        )
    return np.isin(label_names, names)


@dataclasses.dataclass(frozen=True)
class ShownMaps:
    """The heatmaps that the rows of a batch show, K in all, row by row.

    Attributes:
        rows: int `[K]`, places of their rows in the batch, ascending.
        labels: int `[K]`.
        maps: float `[h, w, K]`.
        corners: int `[K, 4]`: left, top, right, bottom of what the network saw, in pixels of the
            image file.
        pictures: One per row of the batch, where overlays are written.
    """

    rows: np.ndarray
    labels: np.ndarray
    maps: np.ndarray
    corners: np.ndarray
    pictures: Sequence[np.ndarray | None] = ()


def cut_maps(
    is_shown: np.ndarray, batch: Sequence[LoadedInput], heatmaps: np.ndarray | None
) -> ShownMaps:
    """The heatmaps of some labels of a batch, without pictures.

    Args:
        is_shown: bool `[N, L]`.
        batch: The N inputs.
        heatmaps: float32 `[N, h, w, L]`; not looked at where no label is shown.
    """
    rows, labels = np.nonzero(is_shown)
    if heatmaps is None or not len(rows):
        return ShownMaps(rows, labels, np.zeros((1, 1, 0)), np.zeros((0, 4)))
    views = [loaded.view for loaded in batch]
    corners = np.array([(0, 0, 0, 0) if view is None else view.corners for view in views])
    maps = np.ascontiguousarray(heatmaps[rows, :, :, labels].transpose(1, 2, 0))
    return ShownMaps(rows, labels, maps, corners[rows])


class HeatmapRows:
    """Makes the column `peaks`.

    Args:
        config: Says what to write: nothing, peaks, or peaks and files.
        label_names: The model's labels.
        folder: Where files go.
        thresholds: float32 `[L]`; how near to them a probability counts as uncertain, the config
            says.
        label_groups: Labels of which the most probable is decided; in these near is half the
            distance to the most probable of the others, too.

    Raises:
        ValueError: when the files would become images of the job, or a label is unknown.
    """

    def __init__(
        self,
        config: ScoringConfig,
        label_names: Sequence[str],
        folder: str,
        thresholds: np.ndarray,
        label_groups: Sequence[LabelGroup] = (),
    ):
        self._mode = config.heatmaps
        self._margin = config.heatmap_margin
        self._thresholds, self._groups = thresholds, label_groups
        self._label_names = label_names
        self._selected = selected_labels(config.heatmap_labels, label_names)
        self._folder = folder
        if self.has_files and _would_be_found(config.images, config.output):
            raise ValueError(
                f"--heatmaps={self._mode} would write images into {config.images!r}, where"
                " --images looks for them. Give an --output outside."
            )

    @property
    def has_files(self) -> bool:
        """Whether files are written."""
        return self._mode in ("maps", "overlays")

    def begin(self, rows: Sequence[int]) -> None:
        """Makes the folder of files, which may stay empty, ready for these rows."""
        if self.has_files:
            os.makedirs(self._folder, exist_ok=True)
            remove_leftovers(self._folder, rows)

    def end_part(self) -> None:
        """Brings the files of a part to the disk, before the part is said to be finished."""
        if self.has_files:
            # One fsync per small file would cost more than the network.
            sync_file_system(self._folder)

    def select(
        self, block: RowBlock, batch: Sequence[LoadedInput], heatmaps: np.ndarray | None
    ) -> ShownMaps:
        """The heatmaps that the rows show, cut out of all; nothing of the batch is kept but those.

        Args:
            block: The rows.
            batch: Their inputs.
            heatmaps: float32 `[N, h, w, L]`; not looked at where no row has a label to show.
        """
        shown = cut_maps(self._shown(block), batch, heatmaps)
        if self._mode != "overlays":
            return shown
        pictures = [None if loaded.view is None else loaded.view.picture for loaded in batch]
        return dataclasses.replace(shown, pictures=pictures)

    def peaks(self, block: RowBlock, shown: ShownMaps, first_row: int) -> Peaks:
        """Label, peak, centroid, box and file of each heatmap that the rows show.

        Args:
            block: The rows.
            shown: What `select` gave for them.
            first_row: Number of the first row in the whole job.
        """
        values, places = describe_peaks(shown.maps, shown.corners)
        counts = np.bincount(shown.rows, minlength=len(block.inputs))
        files = self._write_files(block, shown, values, first_row) if self.has_files else None
        return Peaks(counts, shown.labels, values, places, files)

    def _write_files(
        self, block: RowBlock, shown: ShownMaps, values: np.ndarray, first_row: int
    ) -> list[str | None]:
        """The names of the files, which are written; None for a map that is not finite."""
        names = []
        for number, (row, label) in enumerate(zip(shown.rows, shown.labels, strict=True)):
            name = None
            if not np.isnan(values[number]):
                image, score = block.inputs[row].image, block.probabilities[row, label]
                name = file_name(first_row + row, image, label, self._label_names[label], score)
                path, heatmap = os.path.join(self._folder, name), shown.maps[:, :, number]
                if self._mode == "maps":
                    write_map(path, heatmap)
                else:
                    write_overlay(path, heatmap, shown.pictures[row])
            names.append(name)
        return names

    def _shown(self, block: RowBlock) -> np.ndarray:
        """Which labels of each row get a heatmap, bool `[N, L]`."""
        decided = block.decisions & self._selected
        if not self._margin:
            return decided
        rule = self._thresholds, self._groups
        distance = distance_to_other_decision(block.probabilities, *rule)
        scored = np.array([status == "ok" for status in block.statuses])
        uncertain = (distance <= self._margin) & self._selected & scored[:, None]
        return (decided | uncertain) & uncertain.any(axis=1, keepdims=True)


def _would_be_found(images: str, output: str) -> bool:
    """Whether `--images` names the files that a job writes beside its output."""
    images, output = os.path.realpath(images), os.path.realpath(output)
    if os.path.isdir(images):
        return f"{output}/".startswith(f"{images}/")
    folders = (f"{output}.heatmaps", f"{output}.parts/heatmaps")
    files = (f"{folder}/{file_name(0, '', 0, '', 0.0)}" for folder in folders)
    return any(matches(file.split("/"), images.split("/")) for file in files)
