"""What MkDocs asks for while it builds the site: mkdocs.yml names this file.

Adds pages that are not in docs/: files of the repository, and one of every program.
"""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from command.programs import PROGRAMS
from tools.documentation.program_pages import program_page
from tools.documentation.repository_pages import (
    is_picture,
    linked_files,
    page_text,
    place_in_site,
    with_links_of_site,
)
from tools.python_imports import REPOSITORY

_PROGRAMS = "Programs"  # In the navigation, and empty there.


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fills the programs into the navigation."""
    for section in config.nav or []:
        if _PROGRAMS in section:
            section[_PROGRAMS] = [_place(name) for name in PROGRAMS]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files of the repository that pages link to, and the pages of the programs."""
    docs = sorted(
        path.relative_to(REPOSITORY).as_posix() for path in Path(config.docs_dir).glob("*.md")
    )
    try:
        linked = linked_files(REPOSITORY, ["README.md", *docs])
    except ValueError as error:
        raise PluginError(str(error)) from error  # Ends the build with this line alone.
    for path in linked:
        place = place_in_site(path)
        if files.get_file_from_path(place) is not None:
            continue
        if is_picture(path):
            added = File.generated(config, place, abs_src_path=str(REPOSITORY / path))
        else:
            added = File.generated(config, place, content=page_text(REPOSITORY, path))
        files.append(added)
    for name, program in PROGRAMS.items():
        text = program_page(REPOSITORY, name, program)
        files.append(File.generated(config, _place(name), content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns the links of a page of docs/ to where their files lie in the site."""
    if page.file.generated_by:
        return markdown
    return with_links_of_site(markdown, f"docs/{page.file.src_uri}")


def _place(name: str) -> str:
    return f"programs/{name}.md"
