"""The pictures of one label of one image: its heatmap, and the same beside views of the image."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from vac_tf.explanation.lettering import INK, MUTED, PAPER, write
from vac_tf.explanation.tiles import (
    BAR_ROOM,
    DIFFERENCE_COLORS,
    Scale,
    color_bar,
    difference_tile,
    fit_picture,
    framed,
    heat_tile,
)
from vac_tf.figures.heatmap_overlay import COLORS

DECIDED_COLOR, OTHER_COLOR = "#0f766e", "#656d76"
_MARGIN, _GAP, _HEADER, _TITLE = 16, 10, 58, 20
_SIDE, VIEW_SIDE, _NARROWEST, _LOWEST = 420, 220, 150, 80


@dataclasses.dataclass(frozen=True)
class Caption:
    """What stands over a picture: the image, the label, how probable, and whether decided."""

    image: str
    label: str
    probability: float
    threshold: float
    is_decided: bool
    group: str = ""  # Of labels that exclude each other.

    @property
    def verdict(self) -> str:
        return "decided" if self.is_decided else "not decided"

    def __str__(self) -> str:
        return f"{self.label}: {self.probability:.3f}, {self.verdict}"


@dataclasses.dataclass(frozen=True)
class LabelView:
    """One label in a view of an image.

    Attributes:
        title: Of the view.
        picture: uint8 `[h, w, 3]`, what the view shows; the image would have sides of at most
            `VIEW_SIDE`.
        heatmap: `[h, w]` over that picture.
        moved_back: `[h, w]` over the image.
        probability: Of the label in the view.
        inconsistency: Mean squared difference over the variance of the image's own heatmap; None
            where that is constant.
    """

    title: str
    picture: np.ndarray
    heatmap: np.ndarray
    moved_back: np.ndarray
    probability: float
    inconsistency: float | None


def draw_overlay(picture: np.ndarray, heatmap: np.ndarray, caption: Caption) -> Image.Image:
    """The heatmap over the picture, with caption and colour bar."""
    tile = heat_tile(fit_picture(picture, _SIDE), heatmap, Scale.of(heatmap))
    height = max(tile.height, _LOWEST)
    bar = color_bar(height, float(heatmap.min()), float(heatmap.max()))
    width = max(tile.width + _GAP + bar.width, 300) + 2 * _MARGIN
    paper = Image.new("RGB", (width, _HEADER + height + _MARGIN), PAPER)
    _write_header(ImageDraw.Draw(paper), caption, width)
    paper.paste(tile, (_MARGIN, _HEADER))
    paper.paste(bar, (_MARGIN + tile.width + _GAP, _HEADER))
    return paper


def draw_views(
    picture: np.ndarray, heatmap: np.ndarray, views: Mapping[str, LabelView], caption: Caption
) -> Image.Image:
    """The heatmap beside those of views of the image, moved back, and the differences.

    A row a view. All heatmaps share one scale, so do all differences, in the same units.
    """
    maps = [heatmap, *(m for view in views.values() for m in (view.heatmap, view.moved_back))]
    scale = Scale.of(*maps)
    limit = max(scale.high - scale.low, 1e-12) / 2
    small = fit_picture(picture, VIEW_SIDE)
    own = ("heatmap", heat_tile(small, heatmap, scale)), ("image", Image.fromarray(small))
    rows = [
        _view_row(small, heatmap, view, (scale, limit), own[min(number, 1)])
        for number, view in enumerate(views.values())
    ]
    bars = [(scale.low, scale.high, COLORS), (-limit, limit, DIFFERENCE_COLORS)]
    return _paste_rows(rows, bars, caption)


def _paste_rows(rows, bars, caption: Caption) -> Image.Image:
    """Rows of titles and pictures under a header, with a colour bar beside each of the first."""
    cell_width = max(_NARROWEST, *(tile.width for row in rows for _, tile in row))
    heights = [max(_LOWEST, *(tile.height for _, tile in row)) for row in rows]
    right = _MARGIN + len(rows[0]) * (cell_width + _GAP)
    height = _HEADER + sum(heights) + len(rows) * (_TITLE + _GAP) + _MARGIN
    paper = Image.new("RGB", (right + BAR_ROOM + _MARGIN, height), PAPER)
    draw = ImageDraw.Draw(paper)
    _write_header(draw, caption, paper.width)
    top = _HEADER
    for number, (row, cell_height) in enumerate(zip(rows, heights, strict=True)):
        for column, (title, tile) in enumerate(row):
            left = _MARGIN + column * (cell_width + _GAP)
            write(draw, (left, top), title, 12, color=MUTED, width=cell_width)
            paper.paste(framed(tile, cell_width, cell_height), (left, top + _TITLE))
        if number < len(bars):
            paper.paste(color_bar(cell_height, *bars[number]), (right, top + _TITLE))
        top += _TITLE + cell_height + _GAP
    return paper


def _view_row(small, heatmap, view: LabelView, scales, first) -> list[tuple[str, Image.Image]]:
    """Title and picture of each column of a view's row."""
    scale, limit = scales
    number = "" if view.inconsistency is None else f": {view.inconsistency:.3g}"
    return [
        first,
        (f"{view.title}: {view.probability:.3f}", heat_tile(view.picture, view.heatmap, scale)),
        ("moved back", heat_tile(small, view.moved_back, scale)),
        (f"difference{number}", difference_tile(small, heatmap, view.moved_back, limit)),
    ]


def _write_header(draw: ImageDraw.ImageDraw, caption: Caption, width: int) -> None:
    room = width - 2 * _MARGIN
    facts = f"{caption.probability:.3f}  {caption.verdict}"
    color = DECIDED_COLOR if caption.is_decided else OTHER_COLOR
    used = write(draw, (width - _MARGIN, 14), facts, 15, color=color, bold=True, anchor="ra")
    write(draw, (_MARGIN, 12), caption.label, 18, bold=True, width=room - used - _GAP, color=INK)
    rule = f"decided above {caption.threshold:.3g}"
    if caption.group:
        rule = f"decided where it is the most probable of {caption.group}"
    line = f"{caption.image}   ({rule})"
    write(draw, (_MARGIN, 36), line, 11, color=MUTED, width=room)
