"""The BUILD files hold every Python file once, with the dependencies that it really has.

Bazel is not needed for this. When a test fails, run `python -m tools.update_build`, and read what
changed.
"""

import ast
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


def calls(name):
    """Macro -> its arguments, of a BUILD file: what its Starlark says is Python too."""
    expressions = [node.value for node in ast.parse(TEXTS[name]).body if isinstance(node, ast.Expr)]
    return {
        call.func.id: {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        for call in expressions
        if isinstance(call, ast.Call) and call.func.id not in ("load", "filegroup")
    }


def targets(name):
    """Label -> labels that it depends on, of the libraries in a BUILD file."""
    label, room = f"//{name.removesuffix('/BUILD')}", calls(name)["room"]
    found = {label: set(room.get("deps", ()))}
    if "config" in room:
        found[f"{label}:config"] = set(room.get("config_deps", ()))
        found[label].add(f"{label}:config")
    return found


DEPENDENCIES = {label: deps for name in LIBRARIES for label, deps in targets(name).items()}


def test_the_build_files_are_up_to_date():
    for name, text in TEXTS.items():
        assert (REPOSITORY / name).read_text(encoding="utf-8") == text, f"{name}: {UPDATE}"


def test_no_build_file_is_left_where_no_source_is():
    paths = [path.relative_to(REPOSITORY) for path in REPOSITORY.glob("**/BUILD")]
    # Environments (.venv) may hold others.
    here = {path.as_posix() for path in paths if not path.parts[0].startswith(".")}
    assert here == set(TEXTS)


def test_build_files_are_short():
    for name, text in TEXTS.items():
        # The top names every program, and tests all that any of them needs.
        most = 60 if name in LIBRARIES else 180
        assert len(text.splitlines()) <= most, name


def test_every_label_exists():
    known = set(update_build.labels(FILES).values()) | {"//tools:rooms.bzl"}
    known |= {f"//{name.removesuffix('/BUILD')}:all_files" for name in TEXTS}
    known |= {"//visibility:public"}
    for name, text in TEXTS.items():
        assert set(re.findall(r'"(//[^"]+)"', text)) <= known, name


def test_the_macros_that_build_files_load_are_there():
    macros = (REPOSITORY / "tools" / "rooms.bzl").read_text(encoding="utf-8")
    defined = set(re.findall(r"^def (\w+)\(", macros, re.MULTILINE))
    assert {macro for name in TEXTS for macro in calls(name)} == defined


def test_every_test_is_found_by_a_glob():
    tests = [path for path in FILES if path.endswith("_test.py")]
    assert len(tests) > 10
    for path in tests:
        # `room_tests` globs **/*_test.py down to the next BUILD file.
        assert "room_tests" in calls(f"{update_build.room(path)}/BUILD"), path


def test_every_room_is_named_as_its_folder():
    for name in set(TEXTS) - {"BUILD"}:
        assert calls(name)["room"]["name"] == name.split("/")[-2]


def test_libraries_have_no_cycle():
    waiting = {label: deps & set(DEPENDENCIES) for label, deps in DEPENDENCIES.items()}
    assert len(waiting) > 20
    while ready := {label for label, needs in waiting.items() if not needs}:
        waiting = {n: needs - ready for n, needs in waiting.items() if n not in ready}
    assert waiting == {}, "These targets depend on each other, or on such targets."


def test_scoring_needs_neither_tensorflow_nor_the_library():
    reached, waiting = set(), list(calls("BUILD")["programs"]["deps"]["score"])
    while waiting:
        label = waiting.pop()
        if label not in reached:
            reached.add(label)
            waiting += DEPENDENCIES.get(label, ())
    assert "@pypi//onnxruntime_gpu" in reached
    assert not reached & {"@pypi//tensorflow", "@pypi//keras", "//vac_tf/models"}


def test_names_loaded_lazily_are_dependencies_of_those_who_use_them():
    owners = update_build.labels(FILES)
    assert "//vac_tf/models" in DEPENDENCIES["//vac_tf"]
    assert "//vac_tf" in update_build.dependencies(["tests/vac_tf/lazy_names_test.py"], owners)
    assert "//vac_tf" not in DEPENDENCIES["//vac_tf/configs"]


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
    pins = update_build.pins()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pins)
    names = [re.sub(r"[-_.]+", "_", pin.split("==")[0]).lower() for pin in pins]
    assert len(set(names)) == len(names)
    for name in ("scoring", "metrics", "serve"):
        text = (REPOSITORY / f"requirements-{name}.txt").read_text(encoding="utf-8")
        assert set(re.findall(r"^[\w.-]+==[\w.]+", text, re.MULTILINE)) <= set(pins)
    needed = {package for packages in update_build.PACKAGES.values() for package in packages}
    assert needed <= set(names)
