"""The BUILD files hold every Python file once, with the dependencies that it really has.

Bazel is not needed for this. When a test fails, run `python -m tools.update_build`, and read what
changed.
"""

import fnmatch
import re

import pytest

from tools import update_build
from tools.python_imports import REPOSITORY, python_files

if not (REPOSITORY / ".git").exists():
    pytest.skip("the files are listed by git, and this is no checkout", allow_module_level=True)

FILES = python_files()
TEXTS = update_build.build_files(FILES)
UPDATE = "Run `python -m tools.update_build`."
LIBRARIES = {name for name in TEXTS if not name.startswith(("tests/", "benchmarks/"))} - {"BUILD"}


def targets(name):
    """Label -> labels that it depends on, of the libraries in a BUILD file."""
    folder = name.removesuffix("/BUILD")
    found = {}
    for text in re.findall(r"^py_library\((.*?)^\)", TEXTS[name], re.DOTALL | re.MULTILINE):
        target = re.search(r'name = "(\w+)"', text).group(1)
        own = f"//{folder}" if target == folder.split("/")[-1] else f"//{folder}:{target}"
        found[own] = set(re.findall(r'"(//[^"]+|@pypi//[^"]+)"', text))
    return found


DEPENDENCIES = {label: deps for name in LIBRARIES for label, deps in targets(name).items()}


def test_the_build_files_are_up_to_date():
    for name, text in TEXTS.items():
        assert (REPOSITORY / name).read_text(encoding="utf-8") == text, f"{name}: {UPDATE}"


def test_no_build_file_is_left_where_no_source_is():
    folders = [path for path in REPOSITORY.glob("**/BUILD") if ".venv" not in path.parts]
    here = {path.relative_to(REPOSITORY).as_posix() for path in folders}
    assert here == set(TEXTS)


def test_build_files_are_short():
    for name, text in TEXTS.items():
        # Tests are listed together with all that any of them needs.
        most = 60 if name in LIBRARIES else 110
        assert len(text.splitlines()) <= most, name


def test_every_label_exists():
    programs = {f"//:{path.removesuffix('.py')}" for path in FILES if "/" not in path}
    known = set(update_build.labels(FILES).values()) | programs
    for name, text in TEXTS.items():
        labels = set(re.findall(r'"(//[^"]+)"', text)) - {"//:repository_files"}
        labels = {label for label in labels if not label.endswith(":all_files")}
        labels -= {"//visibility:public"}
        assert labels <= known, name


def test_every_test_is_found_by_a_glob():
    tests = [path for path in FILES if path.endswith("_test.py")]
    assert len(tests) > 10
    for path in tests:
        text = TEXTS[f"{update_build.room(path)}/BUILD"]
        assert 'glob(["**/*_test.py"])' in text and "py_test" in text
        assert fnmatch.fnmatch(path, "*_test.py")


def test_libraries_have_no_cycle():
    waiting = {label: deps & set(DEPENDENCIES) for label, deps in DEPENDENCIES.items()}
    assert len(waiting) > 20
    while ready := {label for label, needs in waiting.items() if not needs}:
        waiting = {n: needs - ready for n, needs in waiting.items() if n not in ready}
    assert waiting == {}, "These targets depend on each other, or on such targets."


def test_scoring_needs_neither_tensorflow_nor_the_library():
    score = re.search(r'"score": \[(.*?)\]', TEXTS["BUILD"], re.DOTALL).group(1)
    reached, waiting = set(), re.findall(r'"([^"]+)"', score)
    while waiting:
        label = waiting.pop()
        if label not in reached:
            reached.add(label)
            waiting += DEPENDENCIES.get(label, ())
    assert "@pypi//onnxruntime_gpu" in reached
    assert not reached & {"@pypi//tensorflow", "@pypi//keras", "//vac_tf/models"}


def test_a_new_and_a_removed_file_are_taken_up():
    fewer = [path for path in FILES if path not in ("score.py", "flags/scoring.py")]
    texts = update_build.build_files(fewer)
    assert '"score"' not in texts["BUILD"] and '"score"' in TEXTS["BUILD"]
    assert set(texts) == set(TEXTS)


def test_an_unknown_package_is_named(monkeypatch):
    monkeypatch.delitem(update_build.PACKAGES, "numpy")
    with pytest.raises(ValueError, match="imports 'numpy'.*requirements and to PACKAGES"):
        update_build.build_files(FILES)


def test_the_lock_file_holds_all_pins():
    assert update_build.LOCK_FILE.read_text(encoding="utf-8") == update_build.lock_text(), UPDATE
    module = (REPOSITORY / "MODULE.bazel").read_text(encoding="utf-8")
    assert f'requirements_lock = "//:{update_build.LOCK_FILE.name}"' in module


def test_every_package_is_pinned_once():
    pins = [line for line in update_build.lock_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pins)
    names = [re.sub(r"[-_.]+", "_", pin.split("==")[0]).lower() for pin in pins]
    assert len(set(names)) == len(names)
    scoring = (REPOSITORY / "requirements-scoring.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^[\w.-]+==[\w.]+", scoring, re.MULTILINE)) <= set(pins)
    needed = {package for packages in update_build.PACKAGES.values() for package in packages}
    assert needed <= set(names)


def test_names_are_unique_in_their_build_file():
    for name, text in TEXTS.items():
        names = re.findall(r'name = "(\w+)"', text)
        assert len(set(names)) == len(names), name
