"""What pictures of heatmaps are made of: colours over a photograph, and the bar of the colours."""

import dataclasses

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from vac_tf.explanation.lettering import INK, MUTED, PAPER, write
from vac_tf.figures.heatmap_overlay import COLORS, enlarge, overlay

DIFFERENCE_COLORS = colormaps["RdBu_r"]
BAR_ROOM = 64  # Pixels across, with its numbers.
_BAR_WIDTH = 14


@dataclasses.dataclass(frozen=True)
class Scale:
    """Values of the coldest and the hottest colour, in units of the heatmap."""

    low: float
    high: float

    @classmethod
    def of(cls, *heatmaps: np.ndarray) -> "Scale":
        """One scale for all of them, so that what changes in the picture changes in the model."""
        return cls(
            min(float(values.min()) for values in heatmaps),
            max(float(values.max()) for values in heatmaps),
        )


def heat_tile(picture: np.ndarray, heatmap: np.ndarray, scale: Scale) -> Image.Image:
    """A heatmap `[h, w]` in colours over the picture uint8 `[H, W, 3]`."""
    return Image.fromarray(overlay(picture, heatmap, scale.low, scale.high))


def difference_tile(
    picture: np.ndarray, first: np.ndarray, second: np.ndarray, limit: float
) -> Image.Image:
    """Second minus first, red above and blue below 0, over the picture in pale grey.

    Args:
        picture: uint8 `[H, W, 3]`.
        first: `[h, w]`.
        second: `[h2, w2]` of the same area.
        limit: Difference of the strongest colours.
    """
    height, width = picture.shape[:2]
    difference = enlarge(second, height, width) - enlarge(first, height, width)
    shares = np.clip(difference / max(2 * limit, 1e-12) + 0.5, 0.0, 1.0)
    colors = DIFFERENCE_COLORS(shares)[..., :3] * 255.0
    grey = picture.mean(axis=2, keepdims=True) * 0.5 + 127.5
    strength = 0.25 + 0.7 * np.abs(2 * shares - 1)[..., None]
    return Image.fromarray(np.rint(grey * (1 - strength) + colors * strength).astype("uint8"))


def fit_picture(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture with its longer side `side` pixels long."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def framed(tile: Image.Image, width: int, height: int) -> Image.Image:
    """The tile in the middle of white paper."""
    paper = Image.new("RGB", (width, height), PAPER)
    paper.paste(tile, ((width - tile.width) // 2, (height - tile.height) // 2))
    return paper


def color_bar(height: int, low: float, high: float, colors=COLORS) -> Image.Image:
    """A vertical bar of colours with the values of its ends and, where it lies inside, of 0."""
    bar = Image.new("RGB", (BAR_ROOM, height), PAPER)
    draw = ImageDraw.Draw(bar)
    shares = np.linspace(1.0, 0.0, max(height - 12, 2))
    rows = np.rint(colors(shares)[:, None, :3] * 255).astype("uint8")
    bar.paste(Image.fromarray(np.repeat(rows, _BAR_WIDTH, axis=1)), (0, 6))
    draw.rectangle((0, 6, _BAR_WIDTH - 1, height - 7), outline="#d0d7de")
    if not high > low:
        write(draw, (_BAR_WIDTH + 5, height / 2), f"{low:.3g}", 11, color=MUTED, anchor="lm")
        return bar
    ticks = {0.0: high, 1.0: low}
    if 0.08 < high / (high - low) < 0.92:
        ticks[high / (high - low)] = 0.0
    for share, value in ticks.items():
        y = 6 + share * (height - 13)
        draw.line((_BAR_WIDTH, y, _BAR_WIDTH + 3, y), fill=INK)
        write(draw, (_BAR_WIDTH + 6, y), f"{value:.3g}", 11, color=MUTED, anchor="lm")
    return bar
