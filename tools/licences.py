"""Writes docs/licences.md: the licence of every package that requirements_lock.txt pins.

    .venv/bin/python -m tools.licences

What a package says of itself in its metadata: its licence expression (PEP 639), else its
classifiers, else the first line about it in its field `License` or its licence file. A package
that is not installed here keeps the line that it has.
"""

import importlib.metadata
import re
from pathlib import Path

from tools.python_imports import REPOSITORY
from tools.update_build import REQUIREMENT_FILES, lines_of, pins

PAGE = REPOSITORY / "docs" / "licences.md"
UNKNOWN = "not stated"
_CLASSIFIER = "License :: "
_ROW = re.compile(r"\| (\S+) \| (\S+) \| (.+) \| (\S+) \|")
_HEADER = """\
# Licences of what is installed

Written by `python -m tools.licences` from what each package says of itself;
`tests/tools/licences_test.py` holds the page to the pins. Packages of `requirements.txt` run with
the project, those of `requirements-dev.txt` build and test it. Extras have files of their own
(`requirements-*.txt`) and are not listed.
The licences of libraries that a wheel brings along are in the wheel.

| package | version | licence | pinned in |
|---|---|---|---|
"""


def licence_of(package: str) -> str:
    """The licence of an installed package in one line.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    facts = importlib.metadata.metadata(package)
    classifiers = [
        each.split(" :: ")[-1]
        for each in facts.get_all("Classifier", [])
        if each.startswith(_CLASSIFIER) and each != "License :: OSI Approved"
    ]
    said = facts.get("License-Expression") or ", ".join(classifiers)
    said = said or _naming_line(facts.get("License") or _licence_file(package)) or UNKNOWN
    return said.replace("|", "/")[:80]


def _naming_line(text: str) -> str:
    """The first line with the word licence in it, else the first one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "icense" in line), lines[0] if lines else "")


def _licence_file(package: str) -> str:
    for path in importlib.metadata.files(package) or ():
        if path.name.startswith("LICEN") and ".dist-info" in str(path):
            return path.read_text()
    return ""


def written_rows() -> dict[str, tuple[str, str, str]]:
    """Package -> version, licence and requirement file, as the page has them."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    return {name: (version, licence, file) for name, version, licence, file in _ROW.findall(text)}


def rows() -> dict[str, tuple[str, str, str]]:
    """The same as they should be."""
    owners = {pin: name for name in REQUIREMENT_FILES for pin in lines_of(name)}
    written, found = written_rows(), {}
    for pin in pins():
        name, version = pin.split("==")
        try:
            if importlib.metadata.version(name) != version:
                raise importlib.metadata.PackageNotFoundError(name)
            licence = licence_of(name)
        except importlib.metadata.PackageNotFoundError:
            kept = written.get(name)
            licence = kept[1] if kept and kept[0] == version else UNKNOWN
        found[name] = (version, licence, owners[pin])
    return found


def page() -> str:
    """The whole page."""
    lines = [f"| {name} | {' | '.join(values)} |\n" for name, values in rows().items()]
    return _HEADER + "".join(lines)


def main() -> None:
    Path(PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
