"""The directions and limits of the house, read from the syntax trees of its files.

Imports inside functions count as well, unless a rule says otherwise.
"""

import ast
import collections
import subprocess
import sys

import pytest

from command import programs
from tools import python_imports, wheel_layout
from tools.python_imports import (
    REPOSITORY,
    imported_names,
    reached_files,
    syntax_tree,
    third_party_modules,
)
from tools.update_build import room

if not (REPOSITORY / ".git").exists():
    pytest.skip("the files are listed by git, and this is no checkout", allow_module_level=True)

FILES = python_imports.python_files()
SOURCES = [path for path in FILES if not path.startswith("tests/")]
LIBRARY = [path for path in FILES if path.startswith("vac_tf/")]
AT_THE_TOP = [path for path in FILES if "/" not in path]
# A program parses flags; other scripts at the top (the demo) start programs.
PROGRAMS = [
    path for path in AT_THE_TOP if "flags.program.run_program" in imported_names(syntax_tree(path))
]
# Room -> the rooms that its files may import, beside those below it in the same row.
LOWER = "vac_tf/configs vac_tf/geometry vac_tf/losses vac_tf/models vac_tf/metrics".split()
DATA = ["vac_tf/runs", "vac_tf/datasets", *LOWER]
JUDGING = ["vac_tf/inputs", "vac_tf/decisions", "vac_tf/figures", "vac_tf/pages", *DATA]
WALLS = {
    "vac_tf/configs": [],
    "vac_tf/geometry": ["vac_tf/configs"],
    "vac_tf/losses": ["vac_tf/configs", "vac_tf/geometry", "vac_tf/metrics"],
    "vac_tf/metrics": ["vac_tf/configs", "vac_tf/geometry"],
    "vac_tf/models": ["vac_tf/configs", "vac_tf/geometry", "vac_tf/metrics"],
    "vac_tf/runs": ["vac_tf/configs", "vac_tf/models"],
    "vac_tf/datasets": ["vac_tf/configs", "vac_tf/runs", "vac_tf/geometry"],
    "vac_tf/figures": ["vac_tf/datasets", "vac_tf/runs"],
    "vac_tf/pages": ["vac_tf/runs"],
    "vac_tf/explanation": ["vac_tf/configs", "vac_tf/geometry", "vac_tf/metrics"]
    + ["vac_tf/figures", "vac_tf/pages"],
    "vac_tf/audit": ["vac_tf/explanation", "vac_tf/analysis", "vac_tf/configs", "vac_tf/datasets"]
    + ["vac_tf/geometry", "vac_tf/metrics", "vac_tf/pages"],
    "vac_tf/decisions": ["vac_tf/configs", "vac_tf/metrics", "vac_tf/runs"],
    "vac_tf/inputs": ["vac_tf/datasets", "vac_tf/geometry", "vac_tf/configs"],
    "vac_tf/evaluation": JUDGING,
    "vac_tf/inference": ["vac_tf/evaluation", *JUDGING],
    "vac_tf/training": ["vac_tf/evaluation", *JUDGING],
    "vac_tf/analysis": ["vac_tf/evaluation", *JUDGING],
    "vac_tf/tuning": ["vac_tf/training", "vac_tf/report", "vac_tf/evaluation", *JUDGING],
    "vac_tf/averaging": ["vac_tf/training", "vac_tf/evaluation", *JUDGING],
    "vac_tf/cross_validation": ["vac_tf/training", "vac_tf/report", "vac_tf/evaluation", *JUDGING],
    "vac_tf/report": ["vac_tf/analysis", "vac_tf/evaluation", *JUDGING],
    "export/files": [],
    "export/bundle": ["export/files", "export"],
    "export/images": ["export/bundle", "export/files"],
    "export/scoring": ["export/bundle", "export/images", "export/files", "export"],
    "export/serving": ["export/scoring", "export/images", "export/files", "export"],
    "export/inspection": ["export/scoring", "export/bundle", "export/images", "export/files"]
    + ["vac_tf/explanation", "vac_tf/audit", "vac_tf/inference", *JUDGING],
    "export/building": ["export/scoring", "export/bundle", "export/images", "export/files"]
    + ["export", "vac_tf/inference", "vac_tf/evaluation", *JUDGING],
}
# Folders whose files reach no TensorFlow, and the files of other folders that do not.
WITHOUT_TENSORFLOW = [
    path
    for path in LIBRARY
    if path.startswith(("vac_tf/configs/", "vac_tf/datasets/", "vac_tf/decisions/"))
    or path.startswith(("vac_tf/metrics/", "vac_tf/pages/", "vac_tf/analysis/objects/"))
    or path.startswith(("vac_tf/explanation/", "vac_tf/audit/"))
    or path in ("vac_tf/geometry/boxes.py", "vac_tf/geometry/array_views.py")
]
TENSORFLOW = {"tensorflow", "keras", "tf2onnx"}
# What the scorer imports only where a job needs it.
OPTIONAL = {"fsspec", "prometheus_client", "ray", "urllib3"}
# What serve.py needs beside the scorer's packages.
SERVING = {"fastapi", "prometheus_client", "pydantic", "pyarrow", "starlette", "uvicorn"}
MOST_LINES = 300
MOST_FILES = 16
MOST_LINES_OF_A_PROGRAM = 60


def names(path):
    return imported_names(syntax_tree(path))


def imports_any(path, forbidden):
    """The forbidden modules, or names inside them, that a file imports."""
    prefixes = tuple(f"{name}." for name in forbidden)
    return sorted(name for name in names(path) if f"{name}.".startswith(prefixes))


def third_party(paths):
    return set().union(*(third_party_modules(names(path), FILES) for path in paths))


def offenders(paths, faults):
    """Path -> its faults, for the files that have any."""
    return {path: found for path in paths if (found := faults(path))}


def longer_than(path, most):
    """The number of lines of a file, when it has too many."""
    lines = len((REPOSITORY / path).read_text(encoding="utf-8").splitlines())
    return lines if lines > most else None


def stem(path):
    return path.split("/")[-1].removesuffix(".py")


def is_script(path):
    """Whether a file can be started: it compares `__name__` with "__main__"."""
    tree = syntax_tree(path)
    return any(isinstance(n, ast.Constant) and n.value == "__main__" for n in ast.walk(tree))


def test_the_rules_see_the_files_they_are_about():
    assert {"train.py", "evaluate.py", "score.py"} <= set(PROGRAMS)
    assert set(WITHOUT_TENSORFLOW) <= set(FILES)
    assert len(LIBRARY) > 40


# ---- Directions


@pytest.mark.parametrize("folder", WALLS)
def test_a_room_imports_only_the_rooms_below_it(folder):
    paths = [path for path in FILES if path.startswith(f"{folder}/")]
    assert paths

    def beyond(path):
        used = python_imports.internal_files(names(path), FILES)
        rooms = {room(other) for other in used if syntax_tree(other).body} - {folder, "vac_tf"}
        return sorted(rooms - set(WALLS[folder]))

    assert offenders(paths, beyond) == {}


def test_every_room_has_its_walls():
    rooms = {room(path) for path in FILES if path.startswith(("vac_tf/", "export/"))}
    assert rooms - {"vac_tf", "export"} == set(WALLS)


def test_the_library_knows_neither_flags_nor_export():
    forbidden = ["flags", "export", "absl.flags", "absl.app"]
    forbidden += [path.removesuffix(".py") for path in AT_THE_TOP]
    assert offenders(LIBRARY, lambda path: imports_any(path, forbidden)) == {}


def test_absl_flags_only_in_programs_and_flags():
    others = [path for path in SOURCES if not path.startswith("flags/") and not is_script(path)]
    assert offenders(others, lambda path: imports_any(path, ("absl.flags", "absl.app"))) == {}


def test_export_knows_no_flags():
    paths = [path for path in FILES if path.startswith("export/")]
    assert offenders(paths, lambda path: imports_any(path, ("flags", "absl.flags"))) == {}


def test_the_command_reaches_what_every_installation_has():
    reached = reached_files([path for path in FILES if path.startswith("command/")], FILES)
    assert (
        offenders(
            reached,
            lambda path: imports_any(path, ("vac_tf", "export.building", "export.inspection")),
        )
        == {}
    )
    assert not third_party(reached) & TENSORFLOW


def test_every_program_is_a_subcommand():
    """But for those that start other programs: demos stay in the checkout."""
    demos = {path for path in PROGRAMS if imports_any(path, ["experiments"])}
    expected = {f"{program.module}.py" for program in programs.PROGRAMS.values()}
    assert set(PROGRAMS) - demos == expected, "Give it a line in command/programs.py."


def test_programs_of_the_scoring_distribution_reach_neither_tensorflow_nor_the_library():
    scoring = [p for p in programs.PROGRAMS.values() if p.distribution == programs.SCORING]
    reached = reached_files([f"{program.module}.py" for program in scoring], FILES)
    assert not [
        path
        for path in reached
        if path.startswith(("vac_tf/", "export/building/", "export/inspection/"))
    ]
    assert not third_party(reached) & TENSORFLOW


def test_packages_that_a_wheel_renames_are_imported_by_from():
    """The names that `import export.scoring` leaves in the code would not be renamed."""

    def plain(path):
        imports = [node for node in ast.walk(syntax_tree(path)) if isinstance(node, ast.Import)]
        aliases = [alias for node in imports for alias in node.names if not alias.asname]
        tops = {alias.name.split(".")[0] for alias in aliases}
        return sorted(tops & set(wheel_layout.RENAMED))

    assert offenders([path for path in SOURCES if "/" in path or path in PROGRAMS], plain) == {}


def test_flags_know_only_configs():
    paths = [path for path in FILES if path.startswith("flags/")]
    reached = {path for path in reached_files(paths, FILES) if syntax_tree(path).body}
    others = {path for path in reached - set(paths) if not path.startswith("vac_tf/configs/")}
    configs = {"export/building/config.py", "export/scoring/config.py", "export/config_fields.py"}
    # What a config's defaults and checks need.
    configs |= {"export/building/gate/budget.py", "export/scoring/runtime/host_limits.py"}
    configs |= {"export/files/read_limits.py", "export/scoring/engine/shard.py"}
    configs |= {
        "export/scoring/config_checks.py",
        "export/scoring/runtime/device_choice.py",
        "export/serving/config.py",
    }
    # Which load by name what is asked of them, and nothing before.
    lazy = {"vac_tf/__init__.py", "export/scoring/__init__.py", "export/building/__init__.py"}
    assert others <= configs | lazy | {"export/__init__.py"}
    assert third_party(reached) == {"absl"}


def test_metrics_and_readers_reach_no_tensorflow():
    def reached(path):
        return sorted(third_party(reached_files([path], FILES)) & TENSORFLOW)

    if third_party(reached_files(WITHOUT_TENSORFLOW, FILES)) & TENSORFLOW:
        assert offenders(WITHOUT_TENSORFLOW, reached) == {}


@pytest.mark.parametrize(
    "program, file, packages",
    [
        ("score.py", "export/scoring/job.py", {"pyarrow"}),
        ("serve.py", "export/serving/server.py", SERVING),
        ("export/scoring/inference/model.py", "export/scoring/runtime/session.py", set()),
    ],
)
def test_scorer_and_server_reach_neither_tensorflow_nor_the_library(program, file, packages):
    reached = reached_files([program], FILES)
    assert file in reached
    assert not [path for path in reached if path.startswith("vac_tf")]
    assert third_party(reached) - OPTIONAL - packages <= {
        *("PIL", "absl", "cykooz_resizer", "numpy", "onnxruntime", "simplejpeg")
    }


def test_the_scorer_does_not_need_what_serves():
    reached = reached_files(["score.py"], FILES)
    assert not [path for path in reached if path.startswith("export/serving")]


def module(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ([module(path) for path in WITHOUT_TENSORFLOW], sorted(TENSORFLOW)),
        (
            ["score", "export.scoring.inference.model", "export.scoring.distributed.ray_engine"],
            [*sorted(TENSORFLOW), "vac_tf", "onnx", "scipy", "matplotlib", *OPTIONAL],
        ),
    ],
    ids=["metrics and readers", "scorer"],
)
def test_they_import_where_the_absent_modules_are_not_installed(modules, absent):
    """What the syntax trees cannot see: what third-party packages import themselves."""
    # None in sys.modules makes an import fail as though the module were not installed.
    source = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    source += "\n".join(f"import {name}" for name in modules)
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_programs_import_their_job_only_when_it_starts():
    """So that --help and a wrong flag are answered at once, without loading TensorFlow."""
    for path in PROGRAMS:
        at_the_top = ast.Module([n for n in syntax_tree(path).body if not _is_block(n)], [])
        start = python_imports.internal_files(imported_names(at_the_top), FILES)
        assert third_party(reached_files(start, FILES)) & TENSORFLOW == set(), path


def _is_block(node):
    return isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.If))


# ---- Limits


def test_programs_are_short():
    assert offenders(PROGRAMS, lambda path: longer_than(path, MOST_LINES_OF_A_PROGRAM)) == {}


def test_files_are_of_readable_length():
    assert offenders(SOURCES, lambda path: longer_than(path, MOST_LINES)) == {}


def test_folders_hold_few_files():
    counts = collections.Counter(path.rpartition("/")[0] for path in FILES if "/" in path)
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_the_library_logs_under_its_own_names():
    """So that a program that uses the library can choose what of it is shown."""

    def to_the_root(path):
        calls = [node for node in ast.walk(syntax_tree(path)) if isinstance(node, ast.Call)]
        functions = [call.func for call in calls if isinstance(call.func, ast.Attribute)]
        return [
            function.lineno
            for function in functions
            if getattr(function.value, "id", "") == "logging"
            and function.attr in ("debug", "info", "warning", "error", "exception", "log")
        ]

    assert offenders(LIBRARY, to_the_root) == {}


def test_no_bare_assert_outside_tests():
    """`python -O` drops asserts; a ValueError says what was expected."""

    def asserts(path):
        return [n.lineno for n in ast.walk(syntax_tree(path)) if isinstance(n, ast.Assert)]

    assert offenders(SOURCES, asserts) == {}


def test_no_error_is_swallowed():
    """Catching everything is for code that names the error and uses it, or raises again."""

    def silent(path):
        handlers = [n for n in ast.walk(syntax_tree(path)) if isinstance(n, ast.ExceptHandler)]
        return [
            handler.lineno
            for handler in handlers
            if getattr(handler.type, "id", "Exception") in ("Exception", "BaseException")
            and handler.name is None
            and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
            and not isinstance(handler.type, (ast.Tuple, ast.Attribute))
        ]

    assert offenders(SOURCES, silent) == {}


# ---- Names


def test_no_file_is_named_after_a_library():
    libraries = third_party(FILES) | {"absl", "keras", "onnx", "tensorflow"}
    assert [path for path in FILES if stem(path) in libraries] == []
    # Only what lies at the top can hide a module of Python itself.
    top = {path.split("/")[0].removesuffix(".py") for path in FILES}
    assert top & set(sys.stdlib_module_names) == set()


def test_every_file_has_a_telling_name():
    vague = {"util", "utils", "common", "helper", "helpers", "misc"}
    assert [path for path in FILES if vague & set(stem(path).split("_"))] == []


# ---- The rules themselves: each notices what it forbids


def test_imports_are_seen_wherever_they_stand():
    source = """
import numpy as np
from a.b import c
def later():
    from keras import ops
    import tensorflow.io
"""
    seen = imported_names(ast.parse(source))
    assert seen == {"numpy", "a.b.c", "keras.ops", "tensorflow.io"}
    with pytest.raises(ValueError, match="Relative import in line 1"):
        imported_names(ast.parse("from . import sibling"))


def test_modules_are_resolved_with_the_packages_around_them():
    files = ["a/__init__.py", "a/b.py", "a/c/__init__.py", "d.py", "b.py"]
    resolve = python_imports.internal_files
    assert resolve(["a.b.name"], files) == {"a/__init__.py", "a/b.py"}
    assert resolve(["a.c"], files) == {"a/__init__.py", "a/c/__init__.py"}
    assert resolve(["d.name", "numpy.b"], files) == {"d.py"}
    assert third_party_modules(["a.b", "os.path", "numpy.linalg", "d"], files) == {"numpy"}


def test_forbidden_imports_are_found():
    assert imports_any("flags/scoring.py", ["absl.flags"]) == ["absl.flags"]
    assert imports_any("flags/scoring.py", ["export", "fla"]) == [
        "export.scoring.config.ScoringConfig"
    ]
    assert imports_any("vac_tf/losses/multilabel.py", ["keras", "vac"]) != []


def test_what_is_reached_is_reached_through_others():
    reached = reached_files(["train.py"], FILES)
    assert "vac_tf/geometry/resizing.py" in reached  # train -> run -> transforms -> resizing
    assert "tensorflow" in third_party(reached)
    assert "vac_tf/datasets/__init__.py" in reached_files(["vac_tf/inputs/pipeline.py"], FILES)
