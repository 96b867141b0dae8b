"""Fixtures shared by the tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Folder of a real dataset by name; skips the test when it is not on this machine.

    Looked for under the environment variable VAC_REAL_DATA, by default in a folder beside the
    repository.
    """
    root = Path(os.environ.get("VAC_REAL_DATA") or _REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            pytest.skip(f"real data {name!r} is not at {folder}; set VAC_REAL_DATA to its parent")
        return folder

    return find
