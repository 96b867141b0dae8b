"""Files of the repository as pages of the site, wherever they lie, and the links between them.

A page of docs/ keeps its place and README.md is the front page. Whatever else a page links to comes
along: a Markdown file or a notebook as a page, a picture as it is, and any other file as a page of
its text.
"""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from tools.documentation.notebook_page import notebook_page

_DOCS = "docs/"
_NOTEBOOK = ".ipynb"
_FRONT = {"README.md": "index.md"}
_PICTURES = (".png", ".jpg", ".svg")
# A block of code, which is left alone, or a link: its target and the place in there.
_LINK = re.compile(r"(```.*?```)|\]\(([^)#\s]*)(#[^)\s]*)?\)", re.DOTALL)
_ELSEWHERE = ("http://", "https://", "mailto:")


def place_in_site(path: str) -> str:
    """The source of the site that a file of the repository is: `docs/a.md` is `a.md`."""
    if path in _FRONT:
        return _FRONT[path]
    path = path.removeprefix(_DOCS)
    if path.endswith(_NOTEBOOK):
        return f"{path.removesuffix(_NOTEBOOK)}.md"
    return path if path.endswith((".md", *_PICTURES)) else f"{path}.md"


def links(text: str) -> list[str]:
    """Targets of the links of a page to other files, as they are written."""
    targets = [match[2] for match in _LINK.finditer(text) if match[2]]
    return [target for target in targets if not target.startswith(_ELSEWHERE)]


def with_links_of_site(text: str, path: str) -> str:
    """A page whose links to files lead to their places in the site.

    Args:
        text: Markdown.
        path: Of the page, in the repository.
    """
    folder = posixpath.dirname(place_in_site(path)) or "."

    def rewritten(match: re.Match) -> str:
        code, target, anchor = match.groups()
        if code or not target or target.startswith(_ELSEWHERE):
            return match[0]
        place = place_in_site(_target(path, target))
        return f"]({posixpath.relpath(place, folder)}{anchor or ''})"

    return _LINK.sub(rewritten, text)


def linked_files(root: Path, pages: Iterable[str]) -> list[str]:
    """Pages and the files that they link to, those link to, and so on; paths in the repository.

    Raises:
        ValueError: a link to nothing, or to a folder; it names page and link.
    """
    found, waiting = set(), list(pages)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for link in links(_markdown(root, path) or ""):
            target = _target(path, link)
            if not (root / target).is_file():
                raise ValueError(f"{path} links to {link!r}. Expected a file of the repository.")
            waiting.append(target)
    return sorted(found)


def page_text(root: Path, path: str) -> str:
    """A file as Markdown: what is none itself becomes a block of code under its name."""
    text = _markdown(root, path)
    if text is None:
        language = "python" if path.endswith(".py") else "text"
        code = (root / path).read_text(encoding="utf-8")
        return f"# `{path}`\n\n````{language}\n{code}````\n"
    text = with_links_of_site(text, path)
    if path.endswith(_NOTEBOOK):
        name = posixpath.basename(path)
        text += f"\n\nThis page as a notebook: [{name}]({name})\n"
    return text


def _markdown(root: Path, path: str) -> str | None:
    """The text of a page or a notebook; None of another file."""
    if not path.endswith((".md", _NOTEBOOK)):
        return None
    text = (root / path).read_text(encoding="utf-8")
    return notebook_page(text) if path.endswith(_NOTEBOOK) else text


def is_picture(path: str) -> bool:
    """Whether a file goes into the site as it is."""
    return path.endswith(_PICTURES)


def _target(path: str, link: str) -> str:
    """The file of the repository that a link of a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
