"""What is measured of every image and label: heatmaps and decisions, and those in each view."""

import dataclasses
import heapq
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.explanation.label_views import label_views, map_variances
from vac_tf.explanation.lettering import printable
from vac_tf.explanation.model import HeatmapModel, Outputs, predict_views
from vac_tf.explanation.panels import Caption, draw_views
from vac_tf.explanation.picture import Picture, batches
from vac_tf.geometry.array_views import View
from vac_tf.metrics.inconsistency import mean_squared_map_difference
from vac_tf.metrics.label_groups.decisions import decide

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Example:
    """An image to show: its row, its inconsistency, and a label of it in all views."""

    row: int
    inconsistency: float
    label: str
    panel: Image.Image


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A model on N images that could be read, L labels and some views, by kind.

    Attributes:
        label_names: L names.
        thresholds: float32 `[L]`.
        names: Of the N images, as given.
        titles: The same for people.
        places: int `[N]`, their places among all images asked for.
        unreadable: Images that could not be read.
        probabilities: float32 `[N, L]`.
        variances: float32 `[N, L]`, of each heatmap over its cells.
        view_titles: kind -> words.
        differences: kind -> float32 `[N, L]`, mean squared difference of the heatmap of the view,
            moved back, to that of the image (Equation 5 of the VAC paper).
        view_probabilities: kind -> float32 `[N, L]`.
        heatmaps: (row, label) -> float32 `[h, w]`, of the labels asked for.
        least_stable: The least stable images, the worst first.
        label_groups: Labels of which the most probable is decided.
    """

    label_names: tuple[str, ...]
    thresholds: np.ndarray
    names: tuple[str, ...]
    titles: tuple[str, ...]
    places: np.ndarray
    unreadable: tuple[Picture, ...]
    probabilities: np.ndarray
    variances: np.ndarray
    view_titles: dict[str, str]
    differences: dict[str, np.ndarray]
    view_probabilities: dict[str, np.ndarray]
    heatmaps: dict[tuple[int, int], np.ndarray]
    least_stable: tuple[Example, ...]
    label_groups: Sequence[LabelGroup] = ()

    @property
    def decided(self) -> np.ndarray:
        """bool `[N, L]`."""
        return decide(self.probabilities, self.thresholds, self.label_groups)

    def decided_in(self, kind: str) -> np.ndarray:
        """bool `[N, L]`, in a view."""
        return decide(self.view_probabilities[kind], self.thresholds, self.label_groups)


def measure(
    model: HeatmapModel,
    pictures: Iterable[Picture],
    views: Sequence[View],
    batch_size: int,
    examples: int = 0,
    wanted: Mapping[int, Sequence[int]] | None = None,
) -> Measurement:
    """Shows a model every image and every view of it.

    Args:
        model: Any.
        pictures: In order; those that cannot be read are counted.
        views: At least one.
        batch_size: Images per step.
        examples: How many of the least stable images to draw.
        wanted: Place of an image -> labels whose heatmaps are kept.

    Raises:
        ValueError: no image that can be read, or values that are not finite.
    """
    gathered = _Gathered(model, views, examples, wanted or {})
    places = itertools.count()
    for batch in batches(pictures, batch_size):
        readable = [(next(places), picture) for picture in batch]
        for _, picture in readable:
            if picture.values is None:
                _LOGGER.warning("%s: %s", picture.name, picture.problem)
                gathered.unreadable.append(picture)
        readable = [(place, picture) for place, picture in readable if picture.values is not None]
        if readable:
            images = np.stack([picture.values for _, picture in readable])
            gathered.add(readable, *predict_views(model, images, views))
    return gathered.result()


class _Gathered:
    """Numbers per image and label; of pictures only the least stable ones."""

    def __init__(self, model, views, examples, wanted):
        self._model, self._views, self._examples, self._wanted = model, views, examples, wanted
        self._names, self._titles, self._places, self.unreadable = [], [], [], []
        self._arrays = {"probabilities": [], "variances": []}
        for view in views:
            self._arrays |= {("difference", view.kind): [], ("probability", view.kind): []}
        self._heatmaps, self._heap = {}, []

    def add(self, readable, own: Outputs, of_views: Mapping[str, Outputs]) -> None:
        first = len(self._names)
        variances = map_variances(own.heatmaps)
        self._arrays["probabilities"].append(own.probabilities)
        self._arrays["variances"].append(variances)
        total = np.zeros_like(variances)
        for kind, outputs in of_views.items():
            difference = mean_squared_map_difference(own.heatmaps, outputs.moved_back, outputs.seen)
            total += difference
            self._arrays["difference", kind].append(difference)
            self._arrays["probability", kind].append(outputs.probabilities)
        for row, (place, picture) in enumerate(readable):
            self._names.append(picture.name)
            self._titles.append(printable(picture.title))
            self._places.append(place)
            for label in self._wanted.get(place, ()):
                self._heatmaps[first + row, label] = own.heatmaps[row, ..., label].copy()
            unit = variances[row].sum() * len(of_views)
            self._consider(first + row, row, picture, total[row], unit, own, of_views)

    def _consider(self, number, row, picture, differences, unit, own, of_views) -> None:
        """Keeps a drawing of an image while it is among the least stable ones."""
        inconsistency = float(differences.sum() / unit) if unit > 0 else 0.0
        if not self._examples:
            return
        if len(self._heap) == self._examples and inconsistency <= self._heap[0][0]:
            return
        thresholds = self._model.thresholds
        decided = np.flatnonzero(self._model.decide(own.probabilities[row : row + 1])[0])
        if len(decided):
            label = int(decided[np.argmax(differences[decided])])
        else:
            label = int(np.argmax(own.probabilities[row]))
        caption = Caption(
            printable(picture.title),
            self._model.label_names[label],
            float(own.probabilities[row, label]),
            float(thresholds[label]),
            label in decided,
            self._model.group_of(label),
        )
        drawn = label_views(self._views, picture, row, label, own, of_views)
        panel = draw_views(picture.shown, own.heatmaps[row, ..., label], drawn, caption)
        # The number decides between equal ones, so that no pictures are compared.
        entry = (inconsistency, -number, Example(number, inconsistency, caption.label, panel))
        if len(self._heap) < self._examples:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def result(self) -> Measurement:
        if not self._names:
            first = f" The first: {self.unreadable[0].problem}" if self.unreadable else ""
            raise ValueError(f"None of {len(self.unreadable)} images can be read.{first}")
        arrays = {key: np.float32(np.concatenate(parts)) for key, parts in self._arrays.items()}
        kinds = [view.kind for view in self._views]
        return Measurement(
            tuple(self._model.label_names),
            self._model.thresholds,
            tuple(self._names),
            tuple(self._titles),
            np.array(self._places),
            tuple(self.unreadable),
            arrays["probabilities"],
            arrays["variances"],
            {view.kind: view.title for view in self._views},
            {kind: arrays["difference", kind] for kind in kinds},
            {kind: arrays["probability", kind] for kind in kinds},
            self._heatmaps,
            tuple(entry[2] for entry in sorted(self._heap, key=lambda one: one[:2], reverse=True)),
            self._model.label_groups,
        )
