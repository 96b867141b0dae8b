"""One label in the views of one image: what is drawn of it, and how far its heatmaps differ."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from vac_tf.explanation.model import Outputs
from vac_tf.explanation.panels import VIEW_SIDE, LabelView
from vac_tf.explanation.picture import Picture
from vac_tf.explanation.tiles import fit_picture
from vac_tf.geometry.array_views import View
from vac_tf.metrics.inconsistency import mean_squared_map_difference


def label_views(
    views: Sequence[View],
    picture: Picture,
    row: int,
    label: int,
    own: Outputs,
    of_views: Mapping[str, Outputs],
) -> dict[str, LabelView]:
    """What each view shows of a label, by its kind.

    Args:
        views: In order.
        picture: The image.
        row: Its number in the batch of the outputs.
        label: Index of the label.
        own: Of the images.
        of_views: Of the views, by kind.
    """
    return {
        view.kind: _label_view(view, picture, (row, label), own, of_views[view.kind])
        for view in views
    }


def map_variances(heatmaps: np.ndarray) -> np.ndarray:
    """float64 `[B, L]`: the variance of each heatmap of `[B, h, w, L]` over its cells."""
    cells = heatmaps.reshape(len(heatmaps), -1, heatmaps.shape[-1]).astype(np.float64)
    # Differences to the first cell: a constant map then has a variance of exactly 0.
    return np.var(cells - cells[:, :1], axis=1)


def _label_view(view, picture, place, own, outputs) -> LabelView:
    row, label = place
    one = slice(row, row + 1), ..., slice(label, label + 1)
    variance = float(map_variances(own.heatmaps[one])[0, 0])
    back = outputs.moved_back[one]
    difference = float(mean_squared_map_difference(own.heatmaps[one], back, outputs.seen)[0, 0])
    return LabelView(
        view.title,
        _view_picture(view, picture),
        outputs.heatmaps[row, ..., label],
        outputs.moved_back[row, ..., label],
        float(outputs.probabilities[row, label]),
        difference / variance if variance > 0 else None,
    )


def _view_picture(view: View, picture: Picture) -> np.ndarray:
    """What a view shows, with the proportions of the picture, at most `VIEW_SIDE` pixels."""
    values = view.images(picture.values[None])[0]
    height, width = fit_picture(picture.shown, VIEW_SIDE).shape[:2]
    if view.kind == "rotate":
        height, width = width, height
    rows, columns = picture.values.shape[:2]
    size = (
        max(round(width * values.shape[1] / columns), 1),
        max(round(height * values.shape[0] / rows), 1),
    )
    image = Image.fromarray(np.rint(np.clip(values, 0, 255)).astype("uint8"))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
