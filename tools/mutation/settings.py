"""What is changed and which tests should notice it: tools/mutation/settings.toml."""

import dataclasses
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tools.python_imports import (
    REPOSITORY,
    imported_names,
    internal_files,
    python_files,
    syntax_tree,
)

SETTINGS_FILE = Path(__file__).with_name("settings.toml")


@dataclasses.dataclass(frozen=True)
class Equivalent:
    """A change that no test can see, or that is left alone, and why.

    Attributes:
        path: File, relative to the repository.
        before: The changed lines, as `Mutant` gives them.
        after: The same after the change.
        reason: Why no test fails.
    """

    path: str
    before: str
    after: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of `python -m tools.mutation`.

    Attributes:
        excluded: Regular expressions of names of operators that are left out.
        tests: Files that are changed -> the files of tests that should notice.
        equivalents: Changes that were looked at and stay.
    """

    excluded: Sequence[str]
    tests: Mapping[str, Sequence[str]]
    equivalents: Sequence[Equivalent]


def read_settings() -> Settings:
    """The settings.

    Raises:
        ValueError: a file has no test, or a room no file.
    """
    values = tomllib.loads(SETTINGS_FILE.read_text(encoding="utf-8"))
    files = python_files()
    tests = {}
    for room, folder in values["rooms"].items():
        sources = [path for path in files if path.startswith(f"{room}/")]
        sources = [path for path in sources if not path.endswith("/__init__.py")]
        if not sources:
            raise ValueError(f"{SETTINGS_FILE.name}: the room {room!r} has no Python files.")
        for path in sources:
            others = values["tests"].get(path, [])
            tests[path] = _tests_of(path, room, folder, files) + others
            if not tests[path]:
                raise ValueError(
                    f"No file of tests in {folder} is named after {path} or imports it. Expected"
                    f" one, or its tests under [tests] of {SETTINGS_FILE.relative_to(REPOSITORY)}."
                )
    equivalents = [Equivalent(**each) for each in values.get("equivalent", [])]
    return Settings(values["operators"]["exclude"], tests, equivalents)


def _tests_of(path: str, room: str, folder: str, files: Collection[str]) -> list[str]:
    mirror = f"{folder}{path.removeprefix(room).removesuffix('.py')}_test.py"
    importing = [
        file
        for file in files
        if file.startswith(f"{folder}/")
        and file.endswith("_test.py")
        and file != mirror
        and path in internal_files(imported_names(syntax_tree(file)), files)
    ]
    return [mirror] * (mirror in files) + importing
