"""Text in pictures: one font, and something to read for letters that it does not have.

DejaVu Sans comes with matplotlib and has Latin, Greek, Cyrillic, Hebrew, Arabic and more, but
neither emoji nor Chinese, Japanese and Korean. Pages show those as they are; pictures name them.
"""

import functools
import os
import unicodedata

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont

_JOINERS = "\u200c\u200d"
INK, MUTED, PAPER = "#1f2328", "#656d76", "#ffffff"


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, `size` pixels high."""
    return ImageFont.truetype(_file(bold), size)


def plain(text: str) -> str:
    """The text with what the font cannot draw replaced: emoji by their names, in brackets."""
    return "".join(_drawable(letter) for letter in printable(text))


def printable(text: str) -> str:
    """The text on one line: no control characters, and escapes for bytes that were not UTF-8.

    Joiners stay, which emoji and Persian need; other marks without width, such as those that turn
    the direction of what follows, go.
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    kept = (letter for letter in text if letter in _JOINERS or unicodedata.category(letter) != "Cf")
    return "".join(letter if letter.isprintable() or letter in _JOINERS else " " for letter in kept)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int = 13,
    *,
    color: str = INK,
    bold: bool = False,
    width: float | None = None,
    anchor: str = "la",
) -> float:
    """Writes one line, cut with an ellipsis where it is longer than `width` pixels.

    Args:
        draw: What is drawn on.
        place: x and y of the anchor (`la`: upper left, as Pillow names them).
        text: Anything; see `plain`.
        size: Of the font in pixels.
        color: Of the letters.
        bold: Bold letters.
        width: Room in pixels.
        anchor: Pillow's name of what lies at `place`.

    Returns:
        The width of what was written in pixels.
    """
    letters, text = font(size, bold), plain(text)
    if width is not None and letters.getlength(text) > width:
        while text and letters.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    draw.text(place, text, fill=color, font=letters, anchor=anchor)
    return letters.getlength(text)


@functools.cache
def _file(bold: bool) -> str:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", name)


@functools.cache
def _letters() -> frozenset[int]:
    return frozenset(FT2Font(_file(bold=True)).get_charmap())


def _drawable(letter: str) -> str:
    code = ord(letter)
    if code in _letters() or unicodedata.combining(letter):
        return letter
    # Joiners and selectors of emoji have no width; alone they say nothing.
    if unicodedata.category(letter) in ("Cf", "Mn", "Sk"):
        return ""
    return f"[{unicodedata.name(letter, f'U+{code:04X}').lower()}]"
