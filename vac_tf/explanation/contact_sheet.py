"""Many small pictures on one sheet."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from vac_tf.explanation.lettering import MUTED, PAPER, write
from vac_tf.explanation.panels import DECIDED_COLOR, OTHER_COLOR, Caption
from vac_tf.explanation.tiles import framed

THUMBNAIL_SIDE = 180
_MARGIN, _GAP, _LETTERS = 20, 12, 38


def draw_sheet(
    thumbnails: Sequence[tuple[Image.Image, Caption]], columns: int, title: str
) -> Image.Image:
    """Thumbnails in rows, each with its label, its probability and its image below.

    Args:
        thumbnails: Pictures with sides of at most `THUMBNAIL_SIDE`, at least one.
        columns: Pictures side by side.
        title: Of the sheet.
    """
    rows = -(-len(thumbnails) // columns)
    cell = THUMBNAIL_SIDE + _GAP, THUMBNAIL_SIDE + _LETTERS + _GAP
    top = _MARGIN + 30
    size = 2 * _MARGIN + columns * cell[0] - _GAP, top + rows * cell[1] + _MARGIN - _GAP
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (_MARGIN, _MARGIN), title, 16, bold=True, width=size[0] - 2 * _MARGIN)
    for number, (thumbnail, caption) in enumerate(thumbnails):
        left = _MARGIN + number % columns * cell[0]
        y = top + number // columns * cell[1]
        sheet.paste(framed(thumbnail, THUMBNAIL_SIDE, THUMBNAIL_SIDE), (left, y))
        color = DECIDED_COLOR if caption.is_decided else OTHER_COLOR
        y += THUMBNAIL_SIDE + 4
        right = left + THUMBNAIL_SIDE
        facts = f"{caption.probability:.2f}" + ("" if caption.is_decided else " no")
        used = write(draw, (right, y), facts, 12, color=color, bold=True, anchor="ra")
        write(draw, (left, y), caption.label, 12, bold=True, width=THUMBNAIL_SIDE - used - 6)
        write(draw, (left, y + 16), caption.image, 10, color=MUTED, width=THUMBNAIL_SIDE)
    return sheet
