"""docs/licences.md names every pinned package with its licence."""

import importlib.metadata

import pytest

from tools import licences
from tools.update_build import pins

UPDATE = "Run `.venv/bin/python -m tools.licences`."


def test_the_page_is_up_to_date():
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page(), UPDATE


def test_every_pin_has_a_licence():
    written = licences.written_rows()
    assert [f"{name}=={written[name][0]}" for name in written] == pins(), UPDATE
    unknown = [name for name, (_, licence, _) in written.items() if licence == licences.UNKNOWN]
    assert unknown == [], "Look the licence up, and write it into the page by hand."


def test_no_licence_binds_what_uses_the_project():
    """Of what is installed with it; none that asks for the sources of whatever is distributed."""
    for name, (_, licence, file) in licences.written_rows().items():
        strict = "GPL" in licence.replace("LGPL", "") or "Affero" in licence
        assert not strict or file == "requirements-dev.txt", f"{name}: {licence}"


def test_metadata_of_any_age_is_read():
    assert licences.licence_of("pytest") == "MIT"
    assert "BSD" in licences.licence_of("numpy")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        licences.licence_of("no-such-package")
