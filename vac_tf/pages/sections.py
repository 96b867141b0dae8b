"""A page of sections, each with what it asks, what came out, tables and figures."""

import dataclasses
from collections.abc import Sequence

from vac_tf.pages.rendering import render


@dataclasses.dataclass(frozen=True)
class Table:
    """`rows` are cells as text, `header` one name per column."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        title: its heading.
        question: what it asks, in one line.
        readings: what came out, a sentence each.
        tables: the numbers.
        figures: path relative to the page -> caption.
        left_out: why the part is missing, or "".
    """

    title: str
    question: str
    readings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: dict[str, str] = dataclasses.field(default_factory=dict)
    left_out: str = ""


def render_page(title: str, introduction: Sequence[str], sections: Sequence[Section]) -> str:
    """The page as HTML that needs nothing but the figures beside it.

    Args:
        title: heading of the page.
        introduction: paragraphs of plain text.
        sections: in order.
    """
    return render("sections.html", title=title, introduction=introduction, sections=sections)
