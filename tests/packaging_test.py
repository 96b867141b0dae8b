"""Two wheels: they hold everything, declare what it needs, and work away from the sources."""

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from command import installation
from command.extras import EXTRAS
from command.programs import LIBRARY, PROGRAMS, SCORING
from command.version import VERSION
from tools.build_hook import RELEASE
from tools.python_imports import REPOSITORY, imported_names, syntax_tree, third_party_modules
from tools.update_build import PACKAGES
from tools.wheel_layout import (
    REWRITTEN,
    module_name,
    path_in_wheel,
    rewritten,
    source_modules,
    wheel_files,
)

FOLDERS = {LIBRARY: REPOSITORY, SCORING: REPOSITORY / "distributions" / "scoring"}
SETTINGS = {
    name: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    for name, folder in FOLDERS.items()
}
PROJECTS = {name: settings["project"] for name, settings in SETTINGS.items()}
FILES = {name: wheel_files(REPOSITORY, name) for name in FOLDERS}
HOOK = SETTINGS[LIBRARY]["tool"]["hatch"]["metadata"]["hooks"]["custom"]
REQUIRED = {
    LIBRARY: HOOK["dependencies"],
    SCORING: PROJECTS[SCORING]["dependencies"],
}
RUNTIME = "onnxruntime"


def package(requirement):
    """The name in a requirement, normalised as in PACKAGES."""
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("-", "_")


def declared(distribution, extras=None):
    """Packages that a distribution asks for, with some extras or (None) with all."""
    groups = PROJECTS[distribution]["optional-dependencies"]
    chosen = [groups[extra] for extra in (groups if extras is None else extras)]
    packages = {package(each) for each in (*REQUIRED[distribution], *sum(chosen, []))}
    # PACKAGES has the one of requirements.txt for either.
    return packages | {"onnxruntime_gpu"} if RUNTIME in packages else packages


def build(distribution, folder, release="1"):
    """Path of a freshly built wheel."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    environment = os.environ | {RELEASE: release}
    done = subprocess.run(
        [*command, str(FOLDERS[distribution])], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Distribution -> path of its wheel."""
    return {name: build(name, tmp_path_factory.mktemp(name)) for name in FOLDERS}


def metadata(path):
    with zipfile.ZipFile(path) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def test_the_wheels_hold_what_the_layout_says(wheels):
    for name, path in wheels.items():
        assert path.name == f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl"
        with zipfile.ZipFile(path) as archive:
            found = {each for each in archive.namelist() if ".dist-info/" not in each}
            assert f"{path.name.split('-py3')[0]}.dist-info/licenses/LICENSE" in archive.namelist()
            assert found == set(FILES[name])
            for target in sorted(found)[::40]:
                text = (REPOSITORY / FILES[name][target]).read_text(encoding="utf-8")
                if target.endswith(REWRITTEN):
                    text = rewritten(text, source_modules(REPOSITORY), target)
                assert archive.read(target).decode() == text


def test_type_checkers_are_told_of_types_where_they_are_checked():
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    marked = {path for files in FILES.values() for path in files if path.endswith("/py.typed")}
    folders = {path.removesuffix("py.typed") for path in marked}
    for package in packages["tool"]["mypy"]["packages"]:
        path = path_in_wheel(package.replace(".", "/") + "/")
        assert any(path.startswith(folder) for folder in folders), package
    # A marker in a package without __init__.py would speak for both distributions.
    assert marked == {
        "vac_tf/py.typed",
        "vac_export/building/py.typed",
        "vac_export/bundle/py.typed",
        "vac_export/scoring/py.typed",
    }


def test_stubs_name_the_packages_of_an_installation(wheels):
    with zipfile.ZipFile(wheels[SCORING]) as archive:
        text = archive.read("vac_export/scoring/__init__.pyi").decode()
    assert "from vac_export.scoring.inference.model import load as load\n" in text


def test_messages_of_the_library_are_those_of_an_installation(wheels):
    with zipfile.ZipFile(wheels[LIBRARY]) as archive:
        text = archive.read("vac_tf/runs/folder.py").decode()
        page = archive.read("vac_tf/report/page.py").decode()
        template = archive.read("vac_tf/report/templates/report.html").decode()
    assert "Expected the folder that vac train --run_dir wrote." in text
    assert 'command("vac train", ' in page and 'command("vac evaluate", ' in page
    assert "Written by vac evaluate." in template


def test_a_release_asks_for_the_scoring_distribution_by_version(wheels):
    extras = ",".join(sorted(HOOK["scoring-extras"]))
    assert f"Requires-Dist: {SCORING}[{extras}]=={VERSION}\n" in metadata(wheels[LIBRARY])
    assert "Requires-Dist: vac" not in metadata(wheels[SCORING])


def test_the_declared_extras_are_those_that_the_command_knows():
    scoring = PROJECTS[SCORING]["optional-dependencies"]
    own = {name for name, extra in EXTRAS.items() if extra.distribution == LIBRARY}
    assert set(EXTRAS) - own == set(scoring) - {"cpu", "gpu"}
    library = PROJECTS[LIBRARY]["optional-dependencies"]
    assert own <= set(library) and set(HOOK["scoring-extras"]) <= set(scoring)
    forwarded = {name: library[name] for name in set(library) - own - {"scoring"}}
    assert forwarded == {name: [f"{SCORING}[{name}]"] for name in forwarded}


def test_the_pages_of_the_scoring_distribution_name_all_that_it_has():
    readme = (FOLDERS[SCORING] / "README.md").read_text(encoding="utf-8")
    assert set(PROJECTS[SCORING]["optional-dependencies"]) <= set(re.findall(r"\w+", readme))
    page = (REPOSITORY / "docs" / "install.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{SCORING}` | the command"))
    for name, program in PROGRAMS.items():
        if program.distribution == SCORING:
            assert f"`{name}`" in row and name in installation._USES[SCORING]


def test_every_import_is_a_declared_dependency():
    sources = {p for files in FILES.values() for p in files.values() if p.endswith(".py")}
    for name, files in FILES.items():
        packages = declared(name)
        if name == LIBRARY:
            packages |= declared(SCORING, HOOK["scoring-extras"])
        for path in set(files.values()) & sources:
            for module in third_party_modules(imported_names(syntax_tree(path)), sources):
                missing = set(PACKAGES[module]) - packages
                assert missing == set(), f"{path} imports {module}; add it to pyproject.toml."


def test_the_version_is_written_once():
    for name in ("CITATION.cff", "MODULE.bazel"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert re.search(rf"\bversion\b.*\b{re.escape(VERSION)}\b", text), name


# ---- Installed


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    """A function: the folder of a fresh environment with the wheels of some distributions."""

    def install(*distributions):
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=False)
        command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        command += ["install", "--no-deps", "--no-index"]
        files = [str(wheels[name]) for name in distributions]
        subprocess.run([*command, *files], check=True, capture_output=True)
        # What they need comes from the environment of this test, not by a download of a gigabyte.
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "lib" / version / "site-packages"
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return folder

    return install


def run(folder, *command, cwd):
    """The finished process of a command of an environment."""
    program, *arguments = map(str, command)
    return subprocess.run(
        [folder / "bin" / program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=500
    )


def import_all(names, absent=()):
    source = f"import importlib, sys\nfor name in {list(absent)}: sys.modules[name] = None\n"
    # Spawned processes and `python -m` start these.
    mains = {"vac_command.__main__"}
    return source + "\n".join(f"importlib.import_module({name!r})" for name in set(names) - mains)


def modules_in_wheel(distribution):
    return [module_name(name) for name in FILES[distribution] if name.endswith(".py")]


@pytest.mark.slow
def test_a_wheel_has_the_same_bytes_whenever_it_is_built(wheels, tmp_path):
    for name, path in wheels.items():
        again = build(name, tmp_path / name)
        assert (
            hashlib.sha256(again.read_bytes()).digest()
            == hashlib.sha256(path.read_bytes()).digest()
        )


@pytest.mark.slow
def test_every_module_of_both_wheels_can_be_imported(environment, tmp_path):
    folder = environment(LIBRARY, SCORING)
    optional = ("keras_hub", "ray", "fsspec", "safetensors")
    names = {name for each in FOLDERS for name in modules_in_wheel(each)}
    done = run(folder, "python", "-P", "-c", import_all(names, optional), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    source = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    there = {name.split(".")[0] for name in source_modules(REPOSITORY)} - {"vac_tf"}
    done = run(folder, "python", "-P", "-c", source.format(sorted(there)), cwd=tmp_path)
    assert done.stdout == "[]\n", "A name of the checkout would collide with others."


@pytest.mark.slow
def test_scoring_alone_needs_no_tensorflow(environment, tmp_path):
    folder = environment(SCORING)
    libraries = ("tensorflow", "keras", "vac_tf", "onnx", "scipy", "matplotlib")
    extras = [module for extra in EXTRAS.values() for module in extra.modules]
    of_extras = ("vac_export.serving", "vac_export.scoring.output.parquet_writer")
    names = modules_in_wheel(SCORING)
    without_extras = [name for name in names if not name.startswith(of_extras)]
    for modules, absent in ((names, libraries), (without_extras, (*libraries, *extras))):
        done = run(folder, "python", "-P", "-c", import_all(modules, absent), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run(folder, "vac", "train", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "vac train needs vac-tf: pip install vac-tf.\n")


@pytest.mark.slow
def test_the_installed_command_trains_exports_and_scores(environment, tmp_path):
    folder = environment(LIBRARY, SCORING)
    flags = [
        "--scenes_train_images=48",
        "--scenes_image_size=32",
        "--image_size=32",
        "--epochs=1",
        "--batch_size=8",
        "--run_dir=run",
    ]
    recipe = "--flagfile=scenes_acf"
    steps = [
        ("train", recipe, "--data_dir=scenes", *flags),
        ("evaluate", "--run_dir=run", "--split=test"),
        ("export", "--run_dir=run", "--bundle_dir=bundle"),
    ]
    for step in steps:
        done = run(folder, "vac", *step, cwd=tmp_path)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]*>", "", page)
    assert "vac train --run_dir=run" in text and "vac evaluate --run_dir=run" in text
    assert not re.search(r"python.{0,6}vac|\w\.py\b", text)
    (images,) = Path(tmp_path, "scenes").glob("scenes_*/test")
    scoring = ("--model=bundle/model.onnx", f"--images={images}", "--decoders=2")
    for output in ("scores.csv", "scores.parquet"):
        done = run(folder, "vac", "score", *scoring, f"--output={output}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    rows = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len(list(images.glob("*.png")))
    done = run(folder, "vac", "evaluate", "--run_dir=missing", cwd=tmp_path)
    assert done.returncode == 3 and "vac train --run_dir wrote" in done.stderr
