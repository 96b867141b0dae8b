"""The wheel: the library alone, with its dependencies declared, working away from the sources."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import pytest

from tools.python_imports import REPOSITORY, imported_names, syntax_tree, third_party_modules
from tools.update_build import PACKAGES

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIBRARY = sorted(
    path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "vac_tf").rglob("*.py")
)


def package(requirement):
    """The name in a requirement, normalised as in PACKAGES."""
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("-", "_")


OPTIONAL = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
DECLARED = {package(requirement) for requirement in (*PROJECT["dependencies"], *OPTIONAL)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_library_only(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = [name for name in names if not name.split("/")[0].endswith(".dist-info")]
    assert sorted(modules) == LIBRARY
    assert {name.split("/")[0] for name in modules} == {"vac_tf"}


def test_the_wheel_is_what_pyproject_says(wheel):
    name = PROJECT["name"].replace("-", "_")
    assert wheel.name == f"{name}-{PROJECT['version']}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{name}-{PROJECT['version']}.dist-info/METADATA").decode()
    declared = re.findall(r"^Requires-Dist: ([A-Za-z0-9_.-]+)", metadata, re.MULTILINE)
    assert {package(name) for name in declared} == DECLARED


def test_every_import_of_the_library_is_a_declared_dependency():
    for path in LIBRARY:
        for module in third_party_modules(imported_names(syntax_tree(path)), LIBRARY):
            missing = set(PACKAGES[module]) - DECLARED
            assert missing == set(), f"{path} imports {module}; add it to pyproject.toml."


@pytest.mark.slow
def test_the_installed_wheel_builds_a_classifier(wheel, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True)
    # The dependencies come from the environment of this test instead of a download of a gigabyte.
    site = environment.joinpath(
        "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages"
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = """
import importlib.util
import numpy as np
import vac_tf
from vac_tf.models import build_classifier

network = build_classifier("small", 3)
outputs = network(np.zeros((2, 64, 48, 3), "float32"))
print(vac_tf.__file__)
print({name: tuple(value.shape) for name, value in sorted(outputs.items())})
print([name for name in ("flags", "export", "train") if importlib.util.find_spec(name)])
"""
    done = subprocess.run(
        [python, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    place, shapes, others = done.stdout.splitlines()[-3:]
    assert place.startswith(str(site))
    assert shapes == str({"heatmaps": (2, 4, 3, 3), "logits": (2, 3)})
    assert others == "[]", "Only the library is installed."
