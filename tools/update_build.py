"""Writes the BUILD file of every room, and requirements_lock.txt, from the sources.

    python -m tools.update_build

A room is a folder of the first two levels (`flags`, `vac_tf/metrics`, `tests/export`) with all
folders below it: its BUILD holds one target, globbed, and what its files import. Takes a second;
tests/build_file_test.py fails when it needs to be run.
"""

import ast
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from tools.python_imports import (
    REPOSITORY,
    imported_names,
    internal_files,
    python_files,
    reached_files,
    syntax_tree,
    third_party_modules,
)

LOCK_FILE = REPOSITORY / "requirements_lock.txt"
REQUIREMENT_FILES = ("requirements.txt", "requirements-dev.txt")
# Folders whose inner folders are rooms of their own.
_WINGS = ("export", "tests", "vac_tf")
_ALL = 'glob(["**/*.py"])'

# Module -> the packages that must be installed for it, as Bazel writes their names.
PACKAGES = {
    "PIL": ("pillow",),
    "absl": ("absl_py",),
    # Only in the environment of requirements-ray.txt, as is ray.
    "fsspec": (),
    "google": ("protobuf",),
    # Keras runs on TensorFlow but does not depend on it.
    "keras": ("keras", "tensorflow"),
    "matplotlib": ("matplotlib",),
    "numpy": ("numpy",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime_gpu",),
    "packaging": ("packaging",),
    "prometheus_client": ("prometheus_client",),
    "pyarrow": ("pyarrow",),
    "pycocotools": ("pycocotools",),
    "pytest": ("pytest",),
    "ray": (),
    "scipy": ("scipy",),
    "simplejpeg": ("simplejpeg",),
    "sklearn": ("scikit_learn",),
    "tensorboard": ("tensorboard",),
    # tf.summary needs TensorBoard, on which TensorFlow 2.21 no longer depends.
    "tensorflow": ("tensorboard", "tensorflow"),
    # Only in the other environment of requirements-tfa.txt, which Bazel does not build.
    "tensorflow_addons": (),
    "tf2onnx": ("tf2onnx",),
    # Only in the environment of tests/goldens/write_triton_schema.py.
    "tritonclient": (),
    "urllib3": ("urllib3",),
}
# pytest runs every test: it loads conftest.py, and the plug-in that pyproject.toml sets up.
_TEST_DEPENDENCIES = ("//tests", "@pypi//pytest", "@pypi//pytest_timeout")
_HEADER = """\
# Written by `python -m tools.update_build`.

load("@rules_python//python:defs.bzl", {rules})

package(default_visibility = ["//visibility:public"])

"""
_FILES = """\
filegroup(
    name = "all_files",
    srcs = glob(["**"], exclude = ["**/__pycache__/**"]),
)
"""
_TESTS = """\
[
    py_test(
        name = path[:-3].replace("/", "_"),
        srcs = [path],
        args = ["{room}/" + path],
        data = ["//:repository_files"],
        main_module = "pytest",
        deps = TEST_DEPENDENCIES,
    )
    for path in glob(["**/*_test.py"])
]

"""
_SCRIPTS = """\
[
    py_binary(
        name = path[:-3],
        srcs = [path],
        main = path,
        deps = [":{name}"],
    )
    for path in glob(["*.py"])
]

"""
_PROGRAMS = """\
[
    py_binary(
        name = program,
        srcs = [program + ".py"],
        deps = deps,
    )
    for program, deps in PROGRAMS.items()
]

"""


def room(path: str) -> str:
    """The folder whose BUILD file holds a source file; "" for the programs at the top."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts and parts[0] in _WINGS else 1])


def config_files(folder: str, files: Collection[str]) -> set[str]:
    """`config.py` of a room and what it imports there: flags need these and not the room."""
    start = f"{folder}/config.py"
    reached = reached_files([start], files) if start in files else set()
    return {path for path in reached if room(path) == folder and syntax_tree(path).body}


def labels(files: Collection[str]) -> dict[str, str]:
    """Path of every source file -> the target that it belongs to."""
    found = {path: f"//{room(path)}" for path in files}
    found |= {path: f"//:{path.removesuffix('.py')}" for path in files if not room(path)}
    for folder in {room(path) for path in files}:
        found |= {path: f"//{folder}:config" for path in config_files(folder, files)}
    return found


def dependencies(paths: Iterable[str], owners: dict[str, str]) -> list[str]:
    """Labels of what source files import, without their own; empty packages around do not count.

    Raises:
        ValueError: for an imported module that is not in `PACKAGES`.
    """
    needed, own = set(), set()
    for path in paths:
        own.add(owners[path])
        names = imported_names(syntax_tree(path))
        for used in internal_files(names, owners):
            if not used.endswith("__init__.py") or syntax_tree(used).body:
                needed.add(owners[used])
        for module in sorted(third_party_modules(names, owners)):
            if module not in PACKAGES:
                raise ValueError(
                    f"{path} imports {module!r}, which tools/update_build.py does not know."
                    " Add it to the requirements and to PACKAGES."
                )
            needed |= {f"@pypi//{package}" for package in PACKAGES[module]}
    return sorted(needed - own)


def build_files(files: Collection[str]) -> dict[str, str]:
    """Path -> text of every BUILD file, for the Python files of the repository."""
    owners = labels(files)
    rooms: dict[str, list[str]] = {}
    for path in sorted(files):
        rooms.setdefault(room(path), []).append(path)
    texts = {
        f"{folder}/BUILD": _room_text(folder, paths, owners)
        for folder, paths in rooms.items()
        if folder
    }
    return {"BUILD": _top_text(rooms, owners)} | texts


def _room_text(folder: str, paths: list[str], owners: dict[str, str]) -> str:
    name, is_tests = folder.split("/")[-1], folder.split("/")[0] == "tests"
    tests = [path for path in paths if path.endswith("_test.py")]
    others = [path for path in paths if path not in tests]
    has_scripts = folder in ("benchmarks", "experiments")
    # The BUILD files of inner rooms end the glob of the room around them.
    config = [path for path in paths if owners[path].endswith(":config")]
    excluded = ["**/*_test.py"] * is_tests + [path.removeprefix(f"{folder}/") for path in config]
    glob = f'glob(["**/*.py"], exclude = {json.dumps(excluded)})' if excluded else _ALL
    rules = ["py_library"] + ["py_test"] * bool(tests) + ["py_binary"] * has_scripts
    text = _HEADER.format(rules=", ".join(f'"{rule}"' for rule in sorted(rules)))
    if tests:
        started = {owners[path] for test in tests for path in _named_programs(test, owners)}
        needed = {*_TEST_DEPENDENCIES, *dependencies(tests, owners), *started, f"//{folder}"}
        text += _assignment("TEST_DEPENDENCIES", sorted(needed)) + "\n"
    text += f'py_library(\n    name = "{name}",\n'
    text += "    testonly = True,\n" * is_tests + f"    srcs = {glob},\n"
    text += _argument("deps", dependencies(set(others) - set(config), owners)) + ")\n\n"
    if config:
        text += 'py_library(\n    name = "config",\n    srcs = [\n'
        text += "".join(f'        "{path.removeprefix(f"{folder}/")}",\n' for path in config)
        text += "    ],\n" + _argument("deps", dependencies(config, owners)) + ")\n\n"
    text += _TESTS.format(room=folder) * bool(tests) + _SCRIPTS.format(name=name) * has_scripts
    return text + _FILES


def _top_text(rooms: dict[str, list[str]], owners: dict[str, str]) -> str:
    text = _HEADER.format(rules='"py_binary"') + "PROGRAMS = {\n"
    for path in rooms[""]:
        started = {owners[program] for program in _named_programs(path, owners)}
        needed = sorted({*dependencies([path], owners), *started} - {owners[path]})
        text += f'    "{path.removesuffix(".py")}": [\n'
        text += "".join(f'        "{each}",\n' for each in needed) + "    ],\n"
    text += "}\n\n" + _PROGRAMS
    inner = [f"//{folder}:all_files" for folder in sorted(rooms) if folder]
    text += "# What tests read besides the sources that they import: recipes, goldens, settings.\n"
    text += 'filegroup(\n    name = "repository_files",\n'
    text += '    srcs = glob(["**"], exclude = ["**/__pycache__/**"]) + [\n'
    return text + "".join(f'        "{each}",\n' for each in inner) + "    ],\n)\n"


def _assignment(name: str, values: list[str]) -> str:
    return f"{name} = [\n" + "".join(f'    "{value}",\n' for value in values) + "]\n"


def _argument(name: str, values: list[str]) -> str:
    if not values:
        return ""
    return f"    {name} = [\n" + "".join(f'        "{value}",\n' for value in values) + "    ],\n"


def _named_programs(path: str, files: Collection[str]) -> set[str]:
    """Programs (Python files at the top) that a source names, such as "train.py"."""
    strings = {
        node.value.split("/")[-1]
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {file for file in files if "/" not in file} & strings


def lock_text() -> str:
    """All pins in one file: Bazel's pip.parse does not follow `-r`."""
    lines = []
    for name in REQUIREMENT_FILES:
        for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
            pin = line.split("#")[0].strip()
            if pin and not pin.startswith("-r"):
                lines.append(pin)
    header = (
        f"# Written by tools/update_build.py from {' and '.join(REQUIREMENT_FILES)}, for Bazel."
    )
    return "\n".join([header, *sorted(lines, key=str.lower)]) + "\n"


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def main() -> None:
    for name, text in build_files(python_files()).items():
        _write(REPOSITORY / name, text)
    _write(LOCK_FILE, lock_text())


if __name__ == "__main__":
    main()
