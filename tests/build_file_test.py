"""BUILD holds every Python file once, with the dependencies that it really has.

Bazel is not needed for this: BUILD is read with `ast`. When a test fails, run
`python -m tools.update_build`, and read what changed.
"""

import ast
import collections
import re

import pytest

from tools import update_build
from tools.python_imports import REPOSITORY, python_files

if not (REPOSITORY / ".git").exists():
    pytest.skip("the files are listed by git, and this is no checkout", allow_module_level=True)

TEXT = (REPOSITORY / "BUILD").read_text(encoding="utf-8")
TARGETS = update_build.read_targets(TEXT)
FILES = python_files()
OWNERS = {path: target.name for target in TARGETS for path in target.srcs}
UPDATE = "Run `python -m tools.update_build`."


def test_every_python_file_is_in_exactly_one_target():
    counts = collections.Counter(path for target in TARGETS for path in target.srcs)
    assert {path: n for path, n in counts.items() if n > 1} == {}, "Files in several targets."
    assert sorted(set(FILES) - set(counts)) == [], f"Files without a target. {UPDATE}"
    assert sorted(set(counts) - set(FILES)) == [], f"Files that are gone. {UPDATE}"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_dependencies_are_the_real_imports(target):
    if set(target.srcs) - set(FILES) or set(FILES) - set(OWNERS):
        pytest.fail(f"The files of BUILD are not those of the repository. {UPDATE}")
    expected = update_build.expected_deps(target, OWNERS, FILES)
    assert list(target.deps) == list(expected), UPDATE


def test_every_test_is_a_py_test_of_its_own():
    tests = [path for path in FILES if path.endswith("_test.py")]
    assert len(tests) > 10
    by_file = {target.srcs: target for target in TARGETS}
    for path in tests:
        target = by_file.get((path,))
        assert target is not None, f"{path} shares a target or has none. {UPDATE}"
        assert (target.rule, f"{target.name}.py") == ("py_test", path.split("/")[-1])
    py_tests = [target.srcs[0] for target in TARGETS if target.rule == "py_test"]
    assert sorted(py_tests) == sorted(tests)


def test_every_py_test_runs_pytest_on_its_file():
    calls = [node for node in ast.walk(ast.parse(TEXT)) if isinstance(node, ast.Call)]
    tests = [call for call in calls if getattr(call.func, "id", "") == "py_test"]
    assert len(tests) > 10
    for call in tests:
        values = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        assert values["args"] == values["srcs"]
        assert values["main_module"] == "pytest"


def test_every_program_is_a_py_binary_of_its_own():
    programs = {path for path in FILES if "/" not in path}
    assert {"train.py", "evaluate.py", "score.py"} <= programs
    binaries = {t.srcs[0]: t for t in TARGETS if t.rule == "py_binary" and len(t.srcs) == 1}
    for path in programs:
        assert binaries[path].name == path.removesuffix(".py")


def test_names_are_unique_and_labels_exist():
    names = [target.name for target in TARGETS]
    assert len(set(names)) == len(names)
    for target in TARGETS:
        for label in target.deps:
            if label.startswith(":"):
                assert label[1:] in names
                assert label[1:] != target.name
            else:
                assert label.startswith("@pypi//")


def test_targets_have_no_cycle():
    waiting = {t.name: {d[1:] for d in t.deps if d.startswith(":")} for t in TARGETS}
    while ready := {name for name, needs in waiting.items() if not needs}:
        waiting = {n: needs - ready for n, needs in waiting.items() if n not in ready}
    assert waiting == {}, "These targets depend on each other, or on such targets."


def test_scoring_needs_neither_tensorflow_nor_the_library():
    by_name = {target.name: target for target in TARGETS}
    reached, waiting = set(), [":score"]
    while waiting:
        label = waiting.pop()
        if label not in reached:
            reached.add(label)
            waiting += by_name[label[1:]].deps if label.startswith(":") else ()
    assert "@pypi//onnxruntime_gpu" in reached
    assert not reached & {"@pypi//tensorflow", "@pypi//keras", ":vac_tf"}


def test_a_wrong_dependency_is_noticed_and_mended():
    broken = TEXT.replace('"@pypi//onnxruntime_gpu",', '"@pypi//tensorflow",', 1)
    assert broken != TEXT
    assert update_build.updated(broken, FILES) == update_build.updated(TEXT, FILES)


def test_an_update_changes_nothing():
    assert update_build.updated(TEXT, FILES) == TEXT, UPDATE


def test_a_new_and_a_removed_file_are_taken_up():
    without_score = [path for path in FILES if path != "score.py"]
    shorter = update_build.updated(TEXT, without_score)
    assert "score.py" not in {s for t in update_build.read_targets(shorter) for s in t.srcs}
    restored = update_build.read_targets(update_build.updated(shorter, FILES))
    score = next(target for target in restored if target.srcs == ("score.py",))
    assert (score.rule, score.name) == ("py_binary", "score")
    assert score.deps == next(t for t in TARGETS if t.name == "score").deps


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
