"""Where a model looks, written as pictures, raw maps and sheets into a folder."""

import itertools
import json
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from vac_tf.configs.explanation import ExplanationConfig
from vac_tf.explanation.contact_sheet import THUMBNAIL_SIDE, draw_sheet
from vac_tf.explanation.file_names import image_folder, label_stem
from vac_tf.explanation.label_choice import LabelChoice
from vac_tf.explanation.label_views import label_views
from vac_tf.explanation.lettering import printable
from vac_tf.explanation.model import HeatmapModel, Outputs, predict_views
from vac_tf.explanation.panels import Caption, LabelView, draw_overlay, draw_views
from vac_tf.explanation.picture import Picture, batches
from vac_tf.explanation.tiles import Scale, fit_picture, heat_tile
from vac_tf.geometry.array_views import View, views_of

EXPLANATION_FILE = "explanation.json"
_SHEET_ROWS = 5
_LOGGER = logging.getLogger(__name__)


def explain(
    model: HeatmapModel, pictures: Iterable[Picture], folder: str, config: ExplanationConfig
) -> dict:
    """Draws the chosen labels of every image.

    Args:
        model: Any.
        pictures: The images in order, those that cannot be read with their reason.
        folder: Exists and is empty; `EXPLANATION_FILE` is written last.
        config: Of the labels, transforms and sheets.

    Returns:
        The contents of `EXPLANATION_FILE`: `model`, `views` (kind -> title), `left_out` (kind of
        view -> reason) and `images`, each with `image`, `title`, `status`, `error` and, where it
        was read, `picture` and `labels`: `label`, `probability`, `threshold`, `decided`, `files`,
        and of each view `probability` and `inconsistency` (relative to this very heatmap's
        variance).

    Raises:
        ValueError: an unknown label, or no image that can be read.
    """
    choice = LabelChoice(config.labels, model.label_names)
    views, left_out = views_of(config.view_kinds, model.frame)
    for kind, reason in left_out.items():
        _LOGGER.warning("Without the view %s: %s.", kind, reason)
    writer = _Writer(folder, model, views, config.sheet_columns)
    for batch in batches(pictures, config.batch_size):
        readable = [picture for picture in batch if picture.values is not None]
        if readable:
            images = np.stack([picture.values for picture in readable])
            own, of_views = predict_views(model, images, views)
            decided = model.decide(own.probabilities)
        rows = itertools.count()
        for picture in batch:
            if picture.values is None:
                _LOGGER.warning("%s: %s", picture.name, picture.problem)
                writer.add_unreadable(picture)
                continue
            row = next(rows)
            chosen = choice.of(own.probabilities[row], decided[row])
            writer.add(picture, row, chosen, decided[row], own, of_views)
    return writer.finish(left_out)


class _Writer:
    """Writes the files of one image after the other; keeps only what the pages list."""

    def __init__(self, folder: str, model: HeatmapModel, views: list[View], columns: int):
        self._folder, self._model, self._views = folder, model, views
        self._columns, self._sheets, self._thumbnails = columns, [], []
        self._images = []

    def add_unreadable(self, picture: Picture) -> None:
        self._images.append(
            {"image": picture.name, "title": printable(picture.title)}
            | {"status": picture.status, "error": picture.problem}
        )

    def add(
        self,
        picture: Picture,
        row: int,
        labels: list[int],
        decided: np.ndarray,
        own: Outputs,
        of_views: Mapping[str, Outputs],
    ) -> None:
        """Adds image number `row` of a batch."""
        place = image_folder(len(self._images), picture.name)
        os.makedirs(os.path.join(self._folder, place))
        self._save(f"{place}/image.jpg", Image.fromarray(fit_picture(picture.shown, 420)))
        drawn = [
            self._draw(picture, place, row, label, bool(decided[label]), own, of_views)
            for label in labels
        ]
        self._images.append(
            {"image": picture.name, "title": printable(picture.title), "status": "ok", "error": ""}
            | {"picture": f"{place}/image.jpg", "labels": drawn}
        )

    def _draw(self, picture, place, row, label, is_decided, own, of_views) -> dict:
        heatmap = own.heatmaps[row, ..., label]
        caption = Caption(
            printable(picture.title),
            self._model.label_names[label],
            float(own.probabilities[row, label]),
            float(self._model.thresholds[label]),
            is_decided,
            self._model.group_of(label),
        )
        stem = f"{place}/{label_stem(label, caption.label)}"
        files = {"overlay": f"{stem}.jpg", "thumbnail": f"{stem}_small.jpg"}
        files["heatmap"] = f"{stem}.npy"
        self._save(files["overlay"], draw_overlay(picture.shown, heatmap, caption))
        small = fit_picture(picture.shown, 2 * THUMBNAIL_SIDE)
        self._save(files["thumbnail"], heat_tile(small, heatmap, Scale.of(heatmap)))
        np.save(os.path.join(self._folder, files["heatmap"]), heatmap)
        self._add_to_sheet(picture, heatmap, caption)
        drawn = label_views(self._views, picture, row, label, own, of_views)
        for kind, view in drawn.items():
            files[f"heatmap_{kind}"] = f"{stem}_{kind}.npy"
            np.save(os.path.join(self._folder, files[f"heatmap_{kind}"]), view.heatmap)
        if drawn:
            files["views"] = f"{stem}_views.jpg"
            self._save(files["views"], draw_views(picture.shown, heatmap, drawn, caption))
        return _described(caption, files, drawn)

    def _add_to_sheet(self, picture, heatmap, caption) -> None:
        if not self._columns:
            return
        small = fit_picture(picture.shown, THUMBNAIL_SIDE)
        self._thumbnails.append((heat_tile(small, heatmap, Scale.of(heatmap)), caption))
        if len(self._thumbnails) == self._columns * _SHEET_ROWS:
            self._close_sheet()

    def _close_sheet(self) -> None:
        number = len(self._sheets) + 1
        title = f"{self._model.name}: where it looks, sheet {number}"
        sheet = draw_sheet(self._thumbnails, self._columns, title)
        self._sheets.append(f"sheets/sheet_{number:04}.jpg")
        os.makedirs(os.path.join(self._folder, "sheets"), exist_ok=True)
        self._save(self._sheets[-1], sheet)
        self._thumbnails = []

    def finish(self, left_out: Mapping[str, str]) -> dict[str, Any]:
        """Closes the last sheet and writes the list of everything."""
        unreadable = [image for image in self._images if image["status"] != "ok"]
        if len(unreadable) == len(self._images):
            first = f" The first: {unreadable[0]['image']}: {unreadable[0]['error']}"
            raise ValueError(f"None of {len(unreadable)} images can be read.{first}")
        if self._thumbnails:
            self._close_sheet()
        contents = {
            "model": self._model.name,
            "kind": self._model.kind,
            "views": {view.kind: view.title for view in self._views},
            "left_out": dict(left_out),
            "sheets": self._sheets,
            "images": self._images,
        }
        text = json.dumps(contents, indent=1, ensure_ascii=False)
        with open(os.path.join(self._folder, EXPLANATION_FILE), "wb") as file:
            file.write(text.encode(errors="backslashreplace") + b"\n")
        return contents

    def _save(self, path: str, image: Image.Image) -> None:
        # Photographs as PNG take much more room; letters and colours need full chroma.
        image.save(os.path.join(self._folder, path), quality=90, subsampling=0)


def _described(caption: Caption, files: dict, views: Mapping[str, LabelView]) -> dict:
    return {
        "label": caption.label,
        "probability": caption.probability,
        "threshold": caption.threshold,
        "decided": caption.is_decided,
        "files": files,
        "views": {
            kind: {"probability": view.probability, "inconsistency": view.inconsistency}
            for kind, view in views.items()
        },
    }
