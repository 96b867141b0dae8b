"""`python -m tools.mutation`: what is changed, and what becomes of a change."""

import json
import subprocess
import sys

import pytest

from tools.mutation.__main__ import quickest_tests
from tools.mutation.settings import SETTINGS_FILE, read_settings
from tools.python_imports import REPOSITORY

CHANGED = "vac_tf/metrics/causal_curves.py"
TESTS = "tests/vac_tf/metrics/causal_curves_test.py"
# In a process of its own: one in which TensorFlow computes cannot be forked.
JOBS = f"""
import json, sys
from tools.mutation.fork_server import Job, run_jobs, warm_up
warm_up([{TESTS!r}])
source = open({CHANGED!r}).read()
sources = {{
    "same": (source, 60),
    "wrong": (source.replace("return ", "return 1e9 * ", 1), 60),
    "broken": ("import nothing_of_this_name", 60),
    "endless": ("while True: pass", 2),
    "crashed": ("import os; os.abort()", 60),
    "no memory": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 60),
    "left": ("import os; os._exit(3)", 60),
}}
jobs = (Job(name, {CHANGED!r}, *each[:1], [{TESTS!r}], each[1]) for name, each in sources.items())
found = {{job.name: [outcome.result, outcome.killer] for job, outcome in run_jobs(jobs, 2)}}
json.dump([found, open({CHANGED!r}).read() == source], sys.stdout)
"""


def run_python(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def test_a_change_is_killed_by_a_failing_test_and_by_the_clock_and_no_file_is_touched():
    done = run_python("-c", JOBS)
    assert done.returncode == 0, done.stderr
    outcomes, is_untouched = json.loads(done.stdout)
    assert is_untouched
    assert outcomes["same"] == ["survived", None]
    assert outcomes["wrong"][0] == "killed" and outcomes["wrong"][1].startswith(f"{TESTS}::test_")
    assert outcomes["broken"] == ["killed", f"collecting {TESTS}"]
    assert outcomes["endless"] == ["timeout", None]
    for name, result, end in (
        ("crashed", "killed", -6),
        ("no memory", "failed to run", -9),
        ("left", "failed to run", 3),
    ):
        assert outcomes[name][0] == result
        assert outcomes[name][1].startswith(f"the process ended with {end}: ")


def test_a_file_is_tried_by_its_quick_tests_and_not_by_none():
    durations = {"a_test.py::slow": 7.0, "a_test.py::quick": 0.1, "b_test.py::other": 0.1}
    durations["a_test.py::middle"] = 1.0
    given = (["a.py"], {"a.py": ["a_test.py"]}, durations)
    assert quickest_tests(*given, 5) == {"a.py": ["a_test.py::quick", "a_test.py::middle"]}
    with pytest.raises(ValueError, match="a.py: every test takes longer than --longest_test=0.05"):
        quickest_tests(*given, 0.05)


def test_every_file_of_the_rooms_has_tests_that_exist():
    tests = read_settings().tests
    assert {"vac_tf/losses/consistency.py", "vac_tf/decisions/verdict.py"} <= set(tests)
    assert not [
        file for files in tests.values() for file in files if not (REPOSITORY / file).is_file()
    ]


def test_known_equivalents_are_changes_of_lines_that_exist():
    for each in read_settings().equivalents:
        source = (REPOSITORY / each.path).read_text(encoding="utf-8").splitlines()
        lines = [line.strip() for line in source]
        assert set(each.before.splitlines()) <= set(lines), f"{SETTINGS_FILE.name} is old: {each}"
        assert each.before != each.after and each.reason


def test_wrong_flags_and_a_missing_package_are_answered():
    pytest.importorskip("cosmic_ray", reason="of requirements-mutation.txt")
    done = run_python("-m", "tools.mutation", "--file=vac_tf/nothing.py")
    assert done.returncode == 1 and "--file=vac_tf/nothing.py: unknown. Expected" in done.stderr


def test_nothing_is_run_where_nothing_survived(tmp_path):
    pytest.importorskip("cosmic_ray", reason="of requirements-mutation.txt")
    (tmp_path / "earlier.json").write_text("[]")
    arguments = (f"--again={tmp_path / 'earlier.json'}", "--file=vac_tf/decisions/objectives.py")
    done = run_python("-m", "tools.mutation", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"0 changes that survived in {tmp_path / 'earlier.json'}.\n"


def test_what_failed_to_run_is_in_no_share():
    report = pytest.importorskip("tools.mutation.report", reason="of requirements-mutation.txt")
    mutant = report.Mutant("a.py", 1, "operator", "1", "2", "2")
    results = (report.KILLED, report.SURVIVED, report.NOT_RUN, report.NOT_RUN)
    records = [report.record(mutant, report.Outcome(each, 1.0, None, {}), ()) for each in results]
    header, _, _, row = report.table(records).splitlines()
    assert header.endswith("| failed to run |")
    assert row == "| all | 4 | 1 (50.0%) | 0 | 1 | 0 | 2 |"


def test_changes_leave_messages_and_annotations_alone():
    mutants = pytest.importorskip("tools.mutation.mutants", reason="of requirements-mutation.txt")
    settings = read_settings()
    specs = mutants.all_specs(["vac_tf/decisions/objectives.py"], settings.excluded)
    changes = list(map(mutants.mutant, specs))
    assert len(changes) > 100
    assert all(change.before != change.after for change in changes)
    assert not [change for change in changes if "raise ValueError" in change.before]
    assert not [change for change in changes if "float | int | None" in change.before]
    assert mutants.sample(specs, 20, seed=1) == mutants.sample(specs, 20, seed=1)
    assert len(mutants.sample(specs, 10**6, seed=1)) == len(specs)
