"""What the doctor says of an installation."""

import os
import subprocess
import sys

import pytest

from command import extras, installation
from command.extras import EXTRAS
from tools.python_imports import REPOSITORY


@pytest.fixture
def without_tensorflow(monkeypatch):
    there = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util,
        "find_spec",
        lambda name: None if name in ("tensorflow", "ray") else there(name),
    )


def test_each_part_has_a_line_and_a_missing_one_its_command(without_tensorflow, monkeypatch):
    for module in (extras, installation):
        monkeypatch.setattr(module, "IS_INSTALLED", True)
    lines = installation.describe_installation().splitlines()
    parts = {line.split()[0]: line for line in lines}
    assert {"vac", "vac-scoring", "vac-tf", "tensorflow", *EXTRAS} == parts.keys()
    assert "missing (ray" in parts["ray"] and "pip install 'vac-scoring[ray]'" in parts["ray"]
    assert "there" in parts["parquet"] and "pip" not in parts["parquet"]
    assert "not here" in parts["tensorflow"]


@pytest.fixture
def broken_tensorflow(tmp_path):
    """A folder with a package of this name that cannot be imported."""
    (tmp_path / "tensorflow").mkdir()
    text = "raise ImportError('libcudart.so: cannot open\\nSee https://tensorflow.org')"
    (tmp_path / "tensorflow" / "__init__.py").write_text(text)
    return tmp_path


def test_a_tensorflow_that_cannot_be_imported_is_a_line_of_the_doctor(broken_tensorflow):
    done = subprocess.run(
        [sys.executable, "doctor.py"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(broken_tensorflow)},
        capture_output=True,
        text=True,
    )
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("tensorflow"))
    expected = "is there, but cannot be used: libcudart.so: cannot open See https://tensorflow.org"
    assert line.split(maxsplit=1)[1] == expected
    assert "Traceback" not in done.stderr and done.returncode in (0, 1)


def test_a_distribution_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(installation, "_USES", {"no-such-distribution": "nothing"})
    assert installation._distribution("no-such-distribution") == "this checkout  - nothing"
    monkeypatch.setattr(installation, "IS_INSTALLED", True)
    monkeypatch.setattr(extras, "IS_INSTALLED", True)
    expected = "missing: pip install no-such-distribution  - nothing"
    assert installation._distribution("no-such-distribution") == expected
