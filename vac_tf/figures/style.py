"""One look for the figures of an analysis page: size, fonts and colours."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vac_tf.runs.atomic_file import write_atomically

PAGE_WIDTH = 11.0  # Inches; 1,210 pixels.
DOTS_PER_INCH = 110

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE, GRAY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C8C8C"
SERIES = (GRAY, BLUE, ORANGE, GREEN, PURPLE)

_STYLE = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # Names of labels may hold two dollar signs.
}


@contextlib.contextmanager
def page_figure(path: str, height: float) -> Iterator[Figure]:
    """A figure of page width in the style of the analysis; written as PNG, atomically, at the end.

    Args:
        path: the PNG to write; nothing is written when the body raises.
        height: in inches.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
        yield figure
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    write_atomically(path, buffer.getvalue())


def note(axes: Axes, text: str) -> None:
    """Shows why there is nothing to draw, in the middle of the empty axes."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, transform=axes.transAxes)


def name_points(axes: Axes, places: np.ndarray, names: list[str | None], most: int) -> None:
    """Writes the names of points beside them, in the order given, those that find room.

    Args:
        axes: with its final limits.
        places: `[n, 2]` of x and y, the most important first.
        names: n names; None for a point without.
        most: how many points to try.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    taken = []
    for place, name in list(zip(places, names, strict=True))[:most]:
        x, y = to_axes.transform(place)
        if name is None or any(abs(x - u) < 0.25 and abs(y - v) < 0.05 for u, v in taken):
            continue
        taken.append((x, y))
        is_right = x > 0.75
        axes.annotate(
            name,
            place,
            xytext=(-5 if is_right else 5, 3),
            textcoords="offset points",
            ha="right" if is_right else "left",
            fontsize=9.5,
        )
