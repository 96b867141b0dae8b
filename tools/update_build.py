"""Brings BUILD up to date with the sources, and requirements_lock.txt with the requirements.

    python -m tools.update_build

BUILD says by hand which files form a target (`srcs`); this program rewrites `deps` with what
those files really import, drops files that are gone, and gives every new file a target of its
own: a test a py_test, a program a py_binary, any other file a py_library. To join a new file to
a group, move it into that target's `srcs` and run the program again. Comments between targets
stay. Takes a second; tests/build_file_test.py fails when it needs to be run.
"""

import ast
import dataclasses
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from tools.python_imports import (
    REPOSITORY,
    imported_names,
    internal_files,
    python_files,
    syntax_tree,
    third_party_modules,
)

BUILD_FILE = REPOSITORY / "BUILD"
LOCK_FILE = REPOSITORY / "requirements_lock.txt"
REQUIREMENT_FILES = ("requirements.txt", "requirements-dev.txt")
RULES = ("py_library", "py_binary", "py_test")

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
}
# pytest runs every test: it loads conftest.py, and the plug-in that pyproject.toml sets up.
TEST_DEPENDENCIES = ("@pypi//pytest", "@pypi//pytest_timeout")
CONFTEST = "tests/conftest.py"


@dataclasses.dataclass(frozen=True)
class Target:
    """One Python target. `first_line` and `last_line` are where it stands in BUILD (0: new)."""

    rule: str
    name: str
    srcs: tuple[str, ...]
    deps: tuple[str, ...] = ()
    first_line: int = 0
    last_line: int = 0


def read_targets(text: str) -> list[Target]:
    """The Python targets of a BUILD file, in order.

    Raises:
        ValueError: for a target whose name, srcs or deps are not literal.
    """
    targets = []
    for node in ast.parse(text, "BUILD").body:
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") not in RULES:
            continue
        values = {k.arg: k.value for k in call.keywords if k.arg in ("name", "srcs", "deps")}
        fields = {name: ast.literal_eval(value) for name, value in values.items()}
        targets.append(
            Target(
                call.func.id,
                fields["name"],
                tuple(fields["srcs"]),
                tuple(fields.get("deps", ())),
                node.lineno,
                node.end_lineno,
            )
        )
    return targets


def expected_deps(
    target: Target, owners: dict[str, str], files: Collection[str]
) -> tuple[str, ...]:
    """Labels of what the sources of a target import, and of the programs that it starts.

    Args:
        target: the target.
        owners: path of every file -> name of its target.
        files: paths of all Python files of the repository.

    Raises:
        ValueError: for an imported module that is not in `PACKAGES`.
    """
    labels = set(TEST_DEPENDENCIES) if target.rule == "py_test" else set()
    used = {CONFTEST} if target.rule == "py_test" else set()
    for path in target.srcs:
        names = imported_names(syntax_tree(path))
        if target.rule == "py_library":
            names.add(path.removesuffix(".py").replace("/", "."))  # Its own package runs as well.
        else:
            used |= _named_programs(path, files)
        used |= internal_files(names, files)
        for module in sorted(third_party_modules(names, files)):
            if module not in PACKAGES:
                raise ValueError(
                    f"{path} imports {module!r}, which tools/update_build.py does not know."
                    " Add it to the requirements and to PACKAGES."
                )
            labels |= {f"@pypi//{package}" for package in PACKAGES[module]}
    labels |= {f":{owners[path]}" for path in used if owners[path] != target.name}
    return tuple(sorted(labels))


def _named_programs(path: str, files: Collection[str]) -> set[str]:
    """Programs (Python files at the top) that a source names, such as "train.py"."""
    strings = {
        node.value.split("/")[-1]
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {file for file in files if "/" not in file} & strings


def new_target(path: str) -> Target:
    """A target for one file."""
    stem = path.removesuffix(".py")
    if path.startswith("tests/") and path.endswith("_test.py"):
        return Target("py_test", stem.split("/")[-1], (path,))
    is_program = "__main__" in {
        node.value for node in ast.walk(syntax_tree(path)) if isinstance(node, ast.Constant)
    }
    name = stem.removesuffix("/__init__").replace("/", "_")
    return Target("py_binary" if is_program else "py_library", name, (path,))


def render(target: Target) -> str:
    """The target as buildifier would write it."""
    lines = [f"{target.rule}(", f'    name = "{target.name}",']
    if target.rule != "py_test" and target.srcs[0].startswith("tests/"):
        lines.append("    testonly = True,")
    lines += _render_list("srcs", sorted(target.srcs))
    if target.rule == "py_test":
        lines += _render_list("args", target.srcs)
        lines.append('    data = [":repository_files"],')
        lines.append('    main_module = "pytest",')
    elif target.rule == "py_binary" and "/" in target.srcs[0]:
        lines.append(f'    main = "{target.srcs[0]}",')
    lines += _render_list("deps", target.deps)
    return "\n".join([*lines, ")"])


def _render_list(name: str, values: Iterable[str]) -> list[str]:
    values = list(values)
    if len(values) < 2:
        return [f'    {name} = ["{value}"],' for value in values]
    return [f"    {name} = [", *(f'        "{value}",' for value in values), "    ],"]


def updated(text: str, files: Collection[str]) -> str:
    """The text of BUILD with the sources that exist and the dependencies that they have."""
    targets = [
        dataclasses.replace(target, srcs=tuple(path for path in target.srcs if path in files))
        for target in read_targets(text)
    ]
    known = {path for target in targets for path in target.srcs}
    added = [new_target(path) for path in sorted(set(files) - known)]
    owners = {path: target.name for target in [*targets, *added] for path in target.srcs}
    lines = text.splitlines()
    # From the end, so that the line numbers of earlier targets stay right.
    for target in reversed(targets):
        target = dataclasses.replace(target, deps=expected_deps(target, owners, files))
        replacement = render(target).splitlines() if target.srcs else []
        lines[target.first_line - 1 : target.last_line] = replacement
    for target in added:
        target = dataclasses.replace(target, deps=expected_deps(target, owners, files))
        place = _place(lines, target)
        lines[place:place] = ["", *render(target).splitlines()]
    return "\n".join(_without_double_gaps(lines)) + "\n"


def _place(lines: list[str], target: Target) -> int:
    """How many lines stand before a new target: it follows the nearest of its kind."""
    folder = target.srcs[0].rpartition("/")[0]
    ends = [
        ((t.rule == target.rule, t.srcs[0].rpartition("/")[0] == folder), t.last_line)
        for t in read_targets("\n".join(lines))
        if t.srcs
    ]
    return max(ends, default=(None, len(lines)))[1]


def _without_double_gaps(lines: list[str]) -> list[str]:
    return [line for before, line in zip(["", *lines], lines, strict=False) if before or line]


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
    _write(BUILD_FILE, updated(BUILD_FILE.read_text(encoding="utf-8"), python_files()))
    _write(LOCK_FILE, lock_text())


if __name__ == "__main__":
    main()
