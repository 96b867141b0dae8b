"""What the Python files of this repository import, read from their syntax trees.

Imports inside functions count as well: they too must be there when the function runs.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def python_files() -> list[str]:
    """Paths, relative to the repository, of its Python files: tracked, or new and not ignored.

    Raises:
        OSError: git is not installed.
        subprocess.CalledProcessError: the repository is not a git checkout.
    """
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = set(listing.stdout.splitlines())
    return sorted(path for path in paths if (REPOSITORY / path).is_file())


@functools.cache
def syntax_tree(path: str) -> ast.Module:
    """The parsed source of a file of the repository; do not change it, it is shared."""
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"), path)


@functools.cache
def imported_names(tree: ast.AST) -> frozenset[str]:
    """Dotted names that a source imports, such as `vac_tf.datasets.split.Split`.

    `from a.b import c` gives `a.b.c`: whether `c` is a module is for `internal_files` to say.

    Raises:
        ValueError: for a relative import, which this repository does not use.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(
                    f"Relative import in line {node.lineno}. Expected the full name of the module."
                )
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


@functools.cache
def lazy_names(tree: ast.Module) -> dict[str, str]:
    """Name -> module of what a package loads at the first use of the name: its `_PUBLIC`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_PUBLIC":
            return ast.literal_eval(node.value)
    return {}


def internal_files(names: Iterable[str], files: Collection[str]) -> set[str]:
    """Those of `files` that importing `names` runs: the modules and the packages around them."""
    files = set(files)
    found = set()
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            stem = "/".join(parts[:length])
            found.update({f"{stem}.py", f"{stem}/__init__.py"} & files)
    return found


def third_party_modules(names: Iterable[str], files: Collection[str]) -> set[str]:
    """Top-level modules among `names` that are neither Python's own nor the repository's."""
    internal = {path.split("/")[0].removesuffix(".py") for path in files}
    top_level = {name.split(".")[0] for name in names}
    return top_level - internal - set(sys.stdlib_module_names)


def reached_files(start: Iterable[str], files: Collection[str]) -> set[str]:
    """All files of the repository that run when the files `start` are imported; with `start`."""
    reached, waiting = set(), list(start)
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        # Importing a module first runs the packages around it.
        packages = internal_files([path.removesuffix(".py").replace("/", ".")], files)
        waiting += packages | internal_files(imported_names(syntax_tree(path)), files)
    return reached
