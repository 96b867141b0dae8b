"""The Dockerfiles hold what programs in them need; whether they build, only Docker can say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.python_imports import REPOSITORY, python_files, reached_files, syntax_tree

DOCKERFILES = sorted((REPOSITORY / "docker").glob("*.Dockerfile"))
PROGRAMS = ("score.py", "serve.py")


def copied(dockerfile):
    """The files and folders of the checkout that an image holds."""
    lines = re.findall(r"^COPY (.*) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for line in lines for name in line.split()]


def is_in(path, names):
    return any(path == name or (name.endswith("/") and path.startswith(name)) for name in names)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_holds_what_its_programs_import(dockerfile):
    files = copied(dockerfile)
    assert set(PROGRAMS) <= set(files)
    ignored = re.findall(r"^[\w/]+$", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE)
    reached = [path for path in reached_files(PROGRAMS, python_files()) if syntax_tree(path).body]
    missing = [path for path in reached if not is_in(path, files)]
    missing += [path for path in reached if is_in(path, [f"{name}/" for name in ignored])]
    assert missing == []
    assert all((REPOSITORY / name).exists() for name in files)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_changes_a_pin_that_is_there(dockerfile):
    (old,) = re.findall(r"sed -i 's/\^(.*?==)/", dockerfile.read_text(encoding="utf-8"))
    pins = (REPOSITORY / "requirements-scoring.txt").read_text(encoding="utf-8").splitlines()
    assert [pin for pin in pins if pin.startswith(old)]


def test_hadolint_finds_nothing():
    beside_python = str(Path(sys.executable).parent)
    hadolint = shutil.which("hadolint", path=beside_python) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install -r requirements-dev.txt")
    done = subprocess.run([hadolint, *DOCKERFILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
