"""Pages that are one file: rendered from templates, with everything they need inside.

The template `base.html` gives a page its style, its table of contents and its scripts;
`parts.html` has the parts that pages share: sections, tables, figures and big numbers. Needs no
TensorFlow.
"""

import os
import re
from typing import Any

from vac_tf.runs.atomic_file import write_atomically

_ENDS_OF_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[_/.])(?=\w)")
_FLAGS = re.compile(r"(--[\w-]+(?:=\S*)?)")
TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def render(template: str, folder: str = TEMPLATES, **values: Any) -> str:
    """A page from a template that extends `base.html`.

    Every value is escaped, so that names of labels and files show as they are, whatever they hold;
    only what is marked as HTML (`markupsafe.Markup`) is not. Data for a script goes through
    the filter `tojson`.

    Args:
        template: its file name.
        folder: where it lies; templates of this room are found as well.
        **values: what the template names.

    Raises:
        ValueError: jinja2 is not installed.
        jinja2.UndefinedError: the template names a value that was not given.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ValueError(
            "Pages are written by jinja2, which is not installed here: pip install jinja2 (it is in"
            " requirements.txt)."
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    environment.filters |= {"percent": percent, "number": number, "count": count}
    environment.filters |= {"by_words": by_words, "whole_flags": whole_flags}
    return environment.get_template(template).render(**values)


def write_page(path: str, page: str) -> None:
    """Writes a page atomically, in UTF-8; what is no text (a byte of a file name) shows as "?"."""
    write_atomically(path, page.encode("utf-8", errors="replace"))


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent without the sign, as metrics are printed; an en dash where undefined."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number of so many significant digits; an en dash where undefined.

    Thousands to a billion are whole numbers, as `count` shows them.
    """
    if value is None:
        return "–"
    return count(round(value)) if 1e3 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def by_words(name: str) -> Any:
    """A name, escaped, that a narrow column breaks between its words: `lowerBodyBlue`, `a_b/c`."""
    import markupsafe

    return markupsafe.Markup("<wbr>").join(_ENDS_OF_WORDS.split(name))


def whole_flags(text: str) -> Any:
    """A text, escaped, that is broken before a flag (`--name=value`), not inside it."""
    import markupsafe

    parts = _FLAGS.split(text)
    for index in range(1, len(parts), 2):
        parts[index] = markupsafe.Markup('<span class="whole">{}</span>').format(parts[index])
    return markupsafe.Markup("").join(parts)


def count(value: int) -> str:
    """A whole number with its thousands set apart by a narrow space."""
    return f"{value:,}".replace(",", "\u202f")
