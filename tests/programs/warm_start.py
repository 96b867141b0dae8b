"""Starts programs without the seconds in which TensorFlow is imported.

A server imports the libraries once and forks for each start. Flags, folder, environment, output and
exit code are those of a plain start; only the import of the libraries is not the program's own.
Each program is also started plainly, see `tests/programs/programs_test.py`.
"""

import atexit
import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
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
    command = [str(REPOSITORY / program), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as written:
        outputs = [os.path.join(written, name) for name in ("out", "error")]
        request = {"command": command, "folder": str(folder), "outputs": outputs}
        request["environment"] = dict(os.environ)
        exit_code = _ask(request)
        texts = [Path(path).read_text(encoding="utf-8") for path in outputs]
    return subprocess.CompletedProcess(command, exit_code, *texts)


def _ask(request):
    server = _server()
    try:
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())
    except BaseException:  # After a time-out its answer would be taken for that of the next start.
        server.kill()
        _server.cache_clear()
        raise


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
    """Answers requests with exit codes; returns in the process of each program, ready to run it."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
            return
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
