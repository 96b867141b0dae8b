"""A model that can be looked into, whatever runs it, and what it says of views of images."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.geometry.array_views import Frame, View
from vac_tf.metrics.label_groups.decisions import decide

# float32 images [B, H, W, 3], RGB in 0..255 -> probabilities [B, L] and heatmaps [B, h, w, L].
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class HeatmapModel:
    """A multi-label classifier with heatmaps.

    Attributes:
        name: to show.
        kind: what it is, in words: of a run, a bundle, another ONNX file.
        label_names: L names.
        thresholds: float32 `[L]`; a label is decided above its own.
        frame: sizes of its input and of its grid.
        predict: float32 images `[B, H, W, 3]`, RGB in 0..255, of the size of the frame (or of
            another, where the frame says so) to float32 probabilities `[B, L]` and heatmaps
            `[B, h, w, L]`.
        label_groups: labels of which the most probable is decided.
    """

    name: str
    kind: str
    label_names: tuple[str, ...]
    thresholds: np.ndarray
    frame: Frame
    predict: Predict
    label_groups: Sequence[LabelGroup] = ()

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Decisions bool `[B, L]` by probabilities `[B, L]`."""
        return decide(probabilities, self.thresholds, self.label_groups)

    def group_of(self, label: int) -> str:
        """Name of the label group that a label is in; "" in none."""
        return next((each.name for each in self.label_groups if label in each.columns), "")

    def with_threshold(self, threshold: float) -> "HeatmapModel":
        """The model with one threshold for all labels; itself where that is below 0."""
        if threshold < 0:
            return self
        return dataclasses.replace(self, thresholds=np.full_like(self.thresholds, threshold))


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model says of B images or of a view of them.

    Attributes:
        probabilities: float32 `[B, L]`.
        heatmaps: float32 `[B, h, w, L]`, as the model gave them.
        moved_back: `[B, h, w, L]`, where the image has what they show.
        seen: bool, the cells of the image's own grid that the view shows.
    """

    probabilities: np.ndarray
    heatmaps: np.ndarray
    moved_back: np.ndarray
    seen: np.ndarray


def predict_views(
    model: HeatmapModel, images: np.ndarray, views: Sequence[View]
) -> tuple[Outputs, dict[str, Outputs]]:
    """What a model says of images, and of each view of them by its kind.

    Raises:
        ValueError: heatmaps or probabilities that are not finite.
    """
    probabilities, heatmaps = _finite(model, images)
    seen = np.ones(heatmaps.shape[1:3], bool)
    own = Outputs(probabilities, heatmaps, heatmaps, seen)
    of_views = {}
    for view in views:
        probabilities, of_view = _finite(model, np.ascontiguousarray(view.images(images)))
        back = np.ascontiguousarray(view.back(of_view))
        of_views[view.kind] = Outputs(probabilities, of_view, back, view.seen(*seen.shape))
    return own, of_views


def _finite(model, images):
    probabilities, heatmaps = model.predict(images)
    if not (np.isfinite(probabilities).all() and np.isfinite(heatmaps).all()):
        raise ValueError(
            f"The model {model.name!r} gives values that are not finite. Train it again with a"
            " smaller learning rate, or export it in another precision."
        )
    return probabilities, heatmaps
