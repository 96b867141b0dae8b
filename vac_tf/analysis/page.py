"""The one page of an analysis: plain HTML with tables, figures and what they say."""

import dataclasses
import html
from collections.abc import Sequence

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p.question { color: #555; font-style: italic; margin-top: -0.5rem; }
p.left-out { background: #f4f4f4; border-left: 4px solid #bbb; padding: 0.5rem 1rem; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 1rem 0; }
caption { text-align: left; color: #555; padding-bottom: 0.3rem; }
th, td { padding: 0.15rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #888; }
figure { margin: 1rem 0; } figure img { max-width: 100%; }
figcaption { color: #555; font-size: 0.9rem; }
"""


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
    body = [f"<h1>{_text(title)}</h1>"]
    body += [f"<p>{_text(paragraph)}</p>" for paragraph in introduction]
    for section in sections:
        body += _section(section)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{_text(title)}</title><style>{_STYLE}</style>"
    return "\n".join(
        ["<!DOCTYPE html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>\n"]
    )


def _section(section: Section) -> list[str]:
    lines = [f"<h2>{_text(section.title)}</h2>"]
    lines.append(f'<p class="question">{_text(section.question)}</p>')
    if section.left_out:
        return [*lines, f'<p class="left-out">Left out: {_text(section.left_out)}</p>']
    if section.readings:
        items = "".join(f"<li>{_text(reading)}</li>" for reading in section.readings)
        lines.append(f"<ul>{items}</ul>")
    for path, caption in section.figures.items():
        lines.append(
            f'<figure><img src="{html.escape(path)}" alt="{html.escape(caption)}">'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
        )
    return lines + [_table(table) for table in section.tables]


def _table(table: Table) -> str:
    header = "".join(f"<th>{_text(name)}</th>" for name in table.header)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        f"<table><caption>{_text(table.caption)}</caption><thead><tr>{header}</tr></thead>"
        f"<tbody>\n{rows}\n</tbody></table>"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=False)
