"""Starts programs without the seconds in which TensorFlow is imported.

A server imports the libraries once and forks for each start. Flags, folder, environment, output and
exit code are those of a plain start; only the import of the libraries is not the program's own.
Each program is also started plainly, see `tests/programs/programs_test.py`.
"""

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flags.console import quiet_imports
from tools.python_imports import REPOSITORY


def start_warm(program, *arguments, folder=REPOSITORY) -> subprocess.CompletedProcess:
    """The finished process of a program, with what it wrote as text.

    Args:
        program: Path of a Python file, relative to the repository.
        arguments: Of the program.
        folder: Where it runs.
    """
    with running_warm(program, *arguments, folder=folder) as running:
        return running.wait()


@contextlib.contextmanager
def running_warm(program, *arguments, folder=REPOSITORY) -> Iterator["RunningProgram"]:
    """A program that runs meanwhile; the only one at a time. It is killed where it runs on.

    Arguments as of `start_warm`.
    """
    command = [str(REPOSITORY / program), *map(str, arguments)]
    server = _server()
    with tempfile.TemporaryDirectory() as written:
        outputs = [os.path.join(written, name) for name in ("out", "error")]
        request = {"command": command, "folder": str(folder), "outputs": outputs}
        request["environment"] = dict(os.environ)
        running = None
        try:
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            running = RunningProgram(server, command, outputs, int(server.stdout.readline()))
            yield running
        finally:
            # After a time-out its answer would be taken for that of the next start.
            if running is None or not running.has_answered:
                if running is not None and running.is_there():
                    os.kill(running.pid, signal.SIGKILL)
                server.kill()
                _server.cache_clear()


@dataclasses.dataclass
class RunningProgram:
    """A program of the server, and where it writes what it says."""

    server: subprocess.Popen
    command: list[str]
    outputs: list[str]
    pid: int
    has_answered: bool = False

    def is_there(self) -> bool:
        """Whether it has not ended yet."""
        return os.path.exists(f"/proc/{self.pid}")

    def wait(self) -> subprocess.CompletedProcess:
        """Its end, with what it wrote as text."""
        exit_code = int(self.server.stdout.readline())
        self.has_answered = True
        texts = [Path(path).read_text(encoding="utf-8") for path in self.outputs]
        return subprocess.CompletedProcess(self.command, exit_code, *texts)


@functools.cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.programs.warm_start"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def _become_next_program() -> None:
    """Answers requests with the number of the process and, at its end, with its exit code.

    Returns in the process of each program, ready to run it.
    """
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
            return
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def _become(command, folder, outputs, environment):
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in enumerate((os.devnull, *outputs)):
        flags = os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY
        os.dup2(os.open(path, flags), descriptor)
    sys.argv = command


def _import_libraries() -> None:
    # Not onnxruntime: it starts a thread, and a fork has none of its parent's other threads.
    import vac_tf.analysis.run
    import vac_tf.training.dual_stream.run
    import vac_tf.training.saliency.run  # noqa: F401


if __name__ == "__main__":
    with quiet_imports():
        _import_libraries()
    _become_next_program()
    runpy.run_path(sys.argv[0], run_name="__main__")
