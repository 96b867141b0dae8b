"""The page of all pictures of an explanation."""

import os
from collections.abc import Mapping
from typing import Any

from matplotlib.colors import Colormap

from vac_tf.explanation.lettering import printable
from vac_tf.explanation.tiles import DIFFERENCE_COLORS
from vac_tf.figures.heatmap_overlay import COLORS
from vac_tf.pages.rendering import render, write_page

PAGE = "index.html"
_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_STOPS = 12


def write_gallery(contents: Mapping[str, Any], folder: str) -> None:
    """Writes `index.html` beside the pictures that it shows.

    Args:
        contents: What `vac_tf.explanation.run.explain` returned.
        folder: Where it wrote the pictures.
    """
    read = [image for image in contents["images"] if image["status"] == "ok"]
    labels = {label["label"] for image in read for label in image["labels"]}
    page = render(
        "gallery.html",
        _TEMPLATES,
        model=contents["model"],
        kind=contents["kind"],
        images=read,
        unreadable=[image for image in contents["images"] if image["status"] != "ok"],
        num_heatmaps=sum(len(image["labels"]) for image in read),
        labels=sorted(labels, key=str.casefold),
        views=contents["views"],
        left_out=contents["left_out"],
        sheets=contents["sheets"],
        heat_colors=css_gradient(COLORS),
        difference_colors=css_gradient(DIFFERENCE_COLORS),
        shown=printable,
    )
    write_page(os.path.join(folder, PAGE), page)


def css_gradient(colors: Colormap) -> str:
    """A colour map from left to right, as a value of CSS."""
    stops = [colors(number / (_STOPS - 1)) for number in range(_STOPS)]
    texts = [f"rgb({','.join(str(round(255 * value)) for value in stop[:3])})" for stop in stops]
    return f"linear-gradient(to right, {', '.join(texts)})"
