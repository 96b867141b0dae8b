"""Builds everything with a Bazel that predates MODULE.bazel, offline, and runs some tests.

    apt-get install bazel-bootstrap bazel-rules-java bazel-rules-proto bazel-platforms bazel-skylib
    .venv/bin/python -m tools.try_bazel --folder=/tmp/bazel
    .venv/bin/python -m tools.try_bazel --folder=/tmp/bazel --test=//tests/flags:console_test

Debian's Bazel is 4.2.3. The checkout is copied into a workspace of its own, in which @rules_python
and @pypi are stand-ins: the rules are Bazel's own, `main_module` (of rules_python 1.4) becomes a
file that starts pytest, and the packages are those of the Python that runs this. So it shows that
every BUILD file loads, that every label exists and that targets have what they need of the
checkout; it does not show that MODULE.bazel fetches what it says.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.python_imports import REPOSITORY
from tools.update_build import PACKAGES, pins

_WORKSPACE = """\
workspace(name = "vac_tf")

local_repository(name = "remote_coverage_tools", path = "../remote_coverage_tools")
local_repository(name = "rules_cc", path = "../rules_cc")
local_repository(name = "rules_python", path = "../rules_python")
local_repository(name = "pypi", path = "../pypi")

# Debian has these as packages; Bazel would fetch them.
local_repository(name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
local_repository(name = "platforms", path = "/usr/share/bazel/tools/platforms")
local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")

register_toolchains("@rules_python//:python_toolchain")
"""
_RULES = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter_path = "{python}",
    python_version = "PY3",
)

py_runtime_pair(name = "pair", py3_runtime = ":runtime")

toolchain(
    name = "python_toolchain",
    toolchain = ":pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""
# Debian's own rules_cc is of a newer Bazel.
_C_RULES = "".join(
    f"{name} = native.{name}\n"
    for name in ("cc_binary", "cc_library", "cc_test", "cc_toolchain", "cc_toolchain_suite")
)
_COVERAGE = """\
sh_binary(
    name = "coverage_report_generator",
    srcs = ["nothing.sh"],
    visibility = ["//visibility:public"],
)
"""
_DEFINITIONS = """\
py_binary = native.py_binary
py_library = native.py_library

def py_test(name, srcs, main_module, **arguments):
    native.genrule(
        name = name + "_main",
        outs = [name + "_main.py"],
        cmd = "echo 'import sys, MODULE; sys.exit(MODULE.main(sys.argv[1:]))' > $@".replace(
            "MODULE",
            main_module,
        ),
        testonly = True,
    )
    native.py_test(
        name = name,
        srcs = srcs + [name + "_main.py"],
        main = name + "_main.py",
        **arguments
    )
"""


def make_workspace(folder: Path) -> Path:
    """Copies the checkout into `folder`, with stand-ins beside it; returns the workspace."""
    workspace = folder / "vac_tf"
    shutil.rmtree(workspace, ignore_errors=True)
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, names.stdout.split("\0")):
        # Of a newer Bazel.
        if name in ("MODULE.bazel", ".bazelrc") or not (REPOSITORY / name).is_file():
            continue
        target = workspace / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, target)
    (workspace / "WORKSPACE").write_text(_WORKSPACE)
    _write(folder / "rules_python", {"BUILD": _RULES.format(python=sys.executable)})
    _write(folder / "rules_python" / "python", {"BUILD": "", "defs.bzl": _DEFINITIONS})
    coverage = {"BUILD": _COVERAGE, "nothing.sh": "#!/bin/sh\n"}
    _write(folder / "remote_coverage_tools", coverage)
    (folder / "remote_coverage_tools" / "nothing.sh").chmod(0o755)
    _write(folder / "rules_cc", {})
    _write(folder / "rules_cc" / "cc", {"BUILD": "", "defs.bzl": _C_RULES})
    _write(folder / "pypi", {})
    for package in packages():
        rule = f'py_library(name = "{package}", visibility = ["//visibility:public"])\n'
        _write(folder / "pypi" / package, {"BUILD": rule})
    return workspace


def packages() -> set[str]:
    """Every package that a BUILD file may name, as Bazel writes it."""
    names = {re.sub(r"[-.]+", "_", pin.split("==")[0]).lower() for pin in pins()}
    return names | {package for needed in PACKAGES.values() for package in needed}


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "WORKSPACE").touch()
    for name, text in files.items():
        (folder / name).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the workspace goes")
    parser.add_argument("--bazel", default="bazel", help="the program")
    parser.add_argument("--test", action="append", default=[], help="a target to test")
    options = parser.parse_args()
    workspace = make_workspace(options.folder.resolve())
    bazel = [options.bazel, f"--output_user_root={options.folder.resolve()}/output"]
    for command in (["build", "//..."], *([["test", *options.test]] if options.test else [])):
        flags = ["--test_output=errors", "--jobs=1"] if command[0] == "test" else []
        done = subprocess.run([*bazel, *command[:1], *flags, *command[1:]], cwd=workspace)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
