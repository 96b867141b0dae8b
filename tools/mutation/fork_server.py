"""Runs tests against changed sources: imports once, and forks a process for each change.

TensorFlow takes longer to import than most tests of one file take to run. So the process imports
what the tests import of other people's, and nothing of this repository is kept: a forked one
imports that anew, with the changed source in the place of its file, which is not touched. Only the
import is shared: TensorFlow's threads do not survive a fork, and must not have been started.
"""

import contextlib
import dataclasses
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools.python_imports import REPOSITORY

KILLED, SURVIVED, TIMEOUT, NOT_RUN = "killed", "survived", "timeout", "failed to run"
_NO_TEST_FAILED, _TESTS_FAILED, _NOT_BEGUN = 0, 1, 70
# What a change may well lead to. SIGKILL, for one, is what a system sends that is out of memory.
_CRASHES = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE)


@dataclasses.dataclass(frozen=True)
class Job:
    """Tests to run against one changed file.

    Attributes:
        name: Whatever the caller knows it by.
        path: The changed file, relative to the repository.
        source: Its whole text; None: as it is.
        tests: Ids of tests, in the order in which they run until one fails.
        seconds: After these it is ended.
    """

    name: Any
    path: str
    source: str | None
    tests: Sequence[str]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        result: `KILLED` (a test failed or crashed, or a file of them could not be collected),
            `SURVIVED`, `TIMEOUT`, or `NOT_RUN` (whatever else; it says nothing of the tests).
        seconds: From start to end.
        killer: Id of the test that failed, or what else went wrong; None: nothing did.
        durations: Seconds by id of test, of those that ran.
    """

    result: str
    seconds: float
    killer: str | None
    durations: Mapping[str, float]


class _Results:
    """A pytest plugin that orders tests, and writes what failed and how long each took."""

    def __init__(self, file: Path, tests: Sequence[str]):
        self._file, self._ranks = file, {test: rank for rank, test in enumerate(tests)}
        self._durations: dict[str, float] = {}
        self._killer: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._ranks:
            items[:] = [item for item in items if item.nodeid in self._ranks]
            items.sort(key=lambda item: self._ranks[item.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._killer = self._killer or f"collecting {report.nodeid}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = self._durations.get(report.nodeid, 0.0)
        self._durations[report.nodeid] = seconds + report.duration
        if report.failed:
            self._killer = self._killer or report.nodeid

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps([self._killer, self._durations]), encoding="utf-8")


class _ChangedFile(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports one module from a text instead of from its file."""

    def __init__(self, path: str, source: str):
        self._name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path, self._source = str(REPOSITORY / path), source

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None):
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_filename(self, fullname: str) -> str:
        return self._path

    def is_package(self, fullname: str) -> bool:
        return self._path.endswith("__init__.py")


def warm_up(test_paths: Sequence[str]) -> None:
    """Imports what test files import, and forgets what is of this repository.

    Raises:
        RuntimeError: the tests cannot be collected, or TensorFlow computed something meanwhile.
    """
    with _quiet(Path(os.devnull)):
        status = pytest.main([*_options(), "--collect-only", *test_paths])
    if status != _NO_TEST_FAILED:
        raise RuntimeError(f"pytest cannot collect {' '.join(test_paths)}: exit code {status}.")
    _forget_own_modules()
    if (tensorflow := sys.modules.get("tensorflow")) is not None:
        # One thread a process; and refused by TensorFlow when it has been started.
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)


def run_jobs(jobs: Iterator[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Runs jobs, so many at a time, and gives each with its outcome when it has ended.

    After a `KeyboardInterrupt`, or when the generator is closed, no process is left.
    """
    running: dict[int, tuple[Job, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            while True:
                while len(running) < processes and (job := next(jobs, None)) is not None:
                    running[_start(job, Path(folder))] = job, time.monotonic()
                if not running:
                    return
                for process in list(running):
                    job, start = running[process]
                    if (end := _ended(process, job, start)) is not None:
                        del running[process]
                        seconds = time.monotonic() - start
                        yield job, _outcome(end, Path(folder, f"{process}"), seconds)
                time.sleep(0.02)
        finally:
            for process in running:
                _end(process)


def _start(job: Job, folder: Path) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = _NOT_BEGUN
    try:
        os.setpgid(0, 0)
        if job.source is not None:
            sys.meta_path.insert(0, _ChangedFile(job.path, job.source))
        file = folder / f"{os.getpid()}"
        files = list(dict.fromkeys(test.split("::")[0] for test in job.tests))
        ordered = job.tests if any("::" in test for test in job.tests) else []
        with _quiet(file.with_suffix(".log")):
            status = pytest.main([*_options(), "-x", *files], [_Results(file, ordered)])
    finally:
        os._exit(status)


def _ended(process: int, job: Job, start: float) -> int | str | None:
    """The exit code (of a signal: below 0), `TIMEOUT`, or None: it is still running."""
    done, status = os.waitpid(process, os.WNOHANG)
    if done:
        return os.waitstatus_to_exitcode(status)
    if time.monotonic() - start <= job.seconds:
        return None
    _end(process)
    return TIMEOUT


def _end(process: int) -> None:
    """Ends a forked process and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _outcome(end: int | str, file: Path, seconds: float) -> Outcome:
    killer, durations = (None, {})
    if file.exists():
        killer, durations = json.loads(file.read_text(encoding="utf-8"))
    if end == TIMEOUT:
        return Outcome(TIMEOUT, seconds, killer, durations)
    if end == _NO_TEST_FAILED:
        return Outcome(SURVIVED, seconds, killer, durations)
    is_killed = killer is not None or end == _TESTS_FAILED or end in _CRASHES
    if killer is None:
        log = file.with_suffix(".log")
        text = log.read_text(errors="replace")[-300:] if log.exists() else ""
        killer = f"the process ended with {end}: {text}"
    return Outcome(KILLED if is_killed else NOT_RUN, seconds, killer, durations)


def _options() -> list[str]:
    options = ["-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout"]
    return [*options, "-o", "addopts=--strict-markers", "-o", "timeout=0", "-q"]


def _forget_own_modules() -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = name.split(".")[0] in {"tests", "vac_tf", "export", "flags", "experiments", "command"}
        if own or (file.startswith(str(REPOSITORY)) and file.endswith("conftest.py")):
            del sys.modules[name]


@contextlib.contextmanager
def _quiet(file: Path) -> Iterator[None]:
    """Sends what is printed, by libraries in C too, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with file.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
