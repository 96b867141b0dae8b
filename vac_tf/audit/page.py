"""The page of an audit."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vac_tf.audit.consistency import consistency_by_image
from vac_tf.audit.errors import PREDICTORS
from vac_tf.audit.measurement import Measurement
from vac_tf.explanation.lettering import printable
from vac_tf.pages.inline_pictures import jpeg_address
from vac_tf.pages.rendering import render, write_page

PAGE = "index.html"
_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 300, 48, 40
_NAMED_POINTS, _NAME_WIDTH, _NAME_HEIGHT = 12, 110, 13


def write_audit_page(folder: str, contents: Mapping[str, Any], measured: Measurement) -> None:
    """Writes `index.html`, one file with everything inside.

    Args:
        folder: Where to.
        contents: Of `audit.json`.
        measured: With the least stable images, drawn.
    """
    _, changed = consistency_by_image(measured)
    page = render(
        "audit.html",
        _TEMPLATES,
        audit=contents,
        examples=[
            {
                "title": measured.titles[example.row],
                "changed": int(changed[example.row]),
                "relative": example.inconsistency,
                "label": printable(example.label),
                "source": jpeg_address(np.asarray(example.panel), quality=86),
            }
            for example in measured.least_stable
        ],
        chart=label_chart(contents["labels"]),
        predictors=PREDICTORS,
        shown=printable,
    )
    write_page(os.path.join(folder, PAGE), page)


def label_chart(labels: Sequence[Mapping]) -> dict | None:
    """Where to draw each label: images across (logarithmic), inconsistency upwards.

    Returns:
        `points` (`x`, `y`, `name`, and `is_named` for the extreme ones), `columns` and `rows` of
        the grid (place and text), `width`, `height`, `left`, `bottom`; None without a label that
        has images and a number.
    """
    known = [one for one in labels if one["images"] and one["relative"] is not None]
    if not known:
        return None
    most, highest = max(one["images"] for one in known), max(one["relative"] for one in known)
    decades, top = max(math.log10(most), 1e-9), _round_up(highest)

    def x(images: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 16) * math.log10(images) / decades

    def y(relative: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - 16) * relative / top

    named = _extremes_with_room(known, lambda one: (x(one["images"]), y(one["relative"])))
    ticks = [step * 10**decade for decade in range(7) for step in (1, 2, 5)]
    return {
        "points": [
            {"x": x(one["images"]), "y": y(one["relative"]), "name": printable(one["label"])}
            | {"relative": one["relative"], "images": one["images"], "is_named": id(one) in named}
            for one in known
        ],
        "columns": [(x(tick), str(tick)) for tick in ticks if tick <= most],
        "rows": [(y(top * part / 4), f"{top * part / 4:.3g}") for part in range(5)],
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "bottom": _BOTTOM,
    }


def _extremes_with_room(known: Sequence[Mapping], place: Callable) -> set[int]:
    """Which of the least and of the most consistent labels are named, so that no names overlap."""
    by_height = sorted(known, key=lambda one: -one["relative"])
    half = _NAMED_POINTS // 2
    places, named = [], set()
    for one in [*by_height[:half], *by_height[: half - 1 : -1][:half]]:
        across, up = place(one)
        if all(abs(across - x) > _NAME_WIDTH or abs(up - y) > _NAME_HEIGHT for x, y in places):
            places.append((across, up))
            named.add(id(one))
    return named


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten, so that a quarter of it is short."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if value <= step * power * (1 + 1e-9))
