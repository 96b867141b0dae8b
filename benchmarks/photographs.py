"""A list of photographs, repeated to any length."""

import itertools
import os

from export.scoring.sources.open_source import open_source


def list_photographs(folder: str, count: int, list_file: str) -> list[str]:
    """The images below `folder`, again and again up to `count`; also written as a list.

    Raises:
        ValueError: when there are none.
    """
    paths = [os.path.abspath(value.path) for value in open_source(folder).read()]
    repeated = list(itertools.islice(itertools.cycle(paths), count))
    with open(list_file, "w", encoding="utf-8") as file:
        file.writelines(f"{path}\n" for path in repeated)
    return repeated
