"""What a room of the house is to Bazel: one library, its tests or scripts, and all its files."""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

_PUBLIC = ["//visibility:public"]

def room(name, deps = [], config = [], config_deps = [], testonly = False):
    """The Python files of a folder and of those below it that have no BUILD of their own.

    Args:
        name: The folder's own name.
        deps: Labels of what the files import.
        config: Files that make a target `config` of their own: flags need them and not the room.
        config_deps: Labels of what these import.
        testonly: Whether only tests may use it.
    """
    py_library(
        name = name,
        testonly = testonly,
        srcs = native.glob(["**/*.py"], exclude = ["**/*_test.py"] + config),
        # Templates of pages.
        data = native.glob(["**/*.html", "**/*.css", "**/*.js"], allow_empty = True),
        visibility = _PUBLIC,
        deps = deps + ([":config"] if config else []),
    )
    if config:
        py_library(
            name = "config",
            srcs = config,
            visibility = _PUBLIC,
            deps = config_deps,
        )
    all_files()

# All of a folder, whatever the folder is called: buildifier: disable=unnamed-macro
def all_files():
    """What is in the folder, for tests that read it."""
    native.filegroup(
        name = "all_files",
        srcs = native.glob(["**"], exclude = ["**/__pycache__/**"]),
        visibility = _PUBLIC,
    )

def room_tests(deps):
    """One test per `*_test.py`, run by pytest with conftest.py and the plug-ins of pyproject.toml.

    Args:
        deps: Labels of what any of the tests imports or starts.
    """
    pytest_deps = ["//tests", "@pypi//pytest", "@pypi//pytest_timeout"]
    for path in native.glob(["**/*_test.py"]):
        py_test(
            name = path[:-3].replace("/", "_"),
            srcs = [path],
            args = [native.package_name() + "/" + path],
            data = ["//:repository_files"],
            main_module = "pytest",
            deps = deps + [label for label in pytest_deps if label not in deps],
        )

def scripts(library):
    """One program per Python file of the folder, all of which `library` holds."""
    for path in native.glob(["*.py"]):
        py_binary(
            name = path[:-3],
            srcs = [path],
            main = path,
            deps = [library],
        )

def programs(deps):
    """One program per entry: its name without `.py` -> labels of what it imports or starts."""
    for name, labels in deps.items():
        py_binary(
            name = name,
            srcs = [name + ".py"],
            visibility = _PUBLIC,
            deps = labels,
        )
