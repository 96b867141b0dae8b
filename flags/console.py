"""A quiet console: a program's own first line comes before its libraries' messages."""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator

from absl import flags as absl_flags
from absl import logging

from export.scoring.runtime.host_limits import gpu_is_visible

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# TensorFlow writes these while it is loaded, before it reads its level from the environment.
_UNASKED = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |To enable the following"
    rb"|.*\[[IW]:onnxruntime:"
)
_END = b"\0end of quiet imports\0\n"


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Leaves out the notes that TensorFlow and ONNX Runtime write while they are imported.

    What they write later is left to errors that end the program, but for a GPU that TensorFlow
    cannot use. Everything comes with --verbosity=1, or where the user has set
    TF_CPP_MIN_LOG_LEVEL. Other lines written inside are kept, also those of a process that dies.
    """
    if _LEVEL in os.environ:
        yield
        return
    wanted = absl_flags.FLAGS.is_parsed() and absl_flags.FLAGS.verbosity > 0
    os.environ[_LEVEL] = "0" if wanted else "3"
    if wanted:
        yield
        return
    with _without_unasked_lines():
        yield
        is_missed = gpu_is_visible() and _tensorflow_misses_it()
    if is_missed:
        logging.warning(
            "An NVIDIA GPU is visible, but TensorFlow cannot use it and runs on the CPU:"
            " --verbosity=1 shows why."
        )
    if onnxruntime := sys.modules.get("onnxruntime"):
        onnxruntime.set_default_logger_severity(3)


def _tensorflow_misses_it() -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and not tensorflow.config.list_physical_devices("GPU")


@contextlib.contextmanager
def _without_unasked_lines() -> Iterator[None]:
    """Passes on what is written to the standard error inside, but for lines of `_UNASKED`.

    A process of its own does so: it still has the last words of this one when this one dies. It
    lasts until nobody can write any more. That may be long after the end here, which only waits
    for the lines up to there: a process that was started inside holds the pipe as long as it runs.
    """
    sys.stderr.flush()
    reading, writing = os.pipe()
    waiting, telling = os.pipe()
    starter = os.fork()
    if not starter:
        if os.fork():  # Nobody waits for a grandchild.
            os._exit(0)
        _pass_on(reading, telling)
    os.waitpid(starter, 0)
    os.close(reading)
    os.close(telling)
    console = os.dup(2)
    os.dup2(writing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(console, 2)
        os.close(console)
        with contextlib.suppress(BrokenPipeError):  # The other one was ended.
            os.write(writing, _END)
        os.close(writing)
        os.read(waiting, 1)
        os.close(waiting)


def _pass_on(reading: int, telling: int) -> None:
    """Ends the process when nobody can write any more; closes `telling` at the line `_END`."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other one.
        for other in set(map(int, os.listdir("/dev/fd"))) - {2, reading, telling}:
            with contextlib.suppress(OSError):  # The listing had one of its own.
                os.close(other)
        with open(reading, "rb") as lines:
            for line in lines:
                # It may stand behind a line that has no end yet.
                is_end = line.endswith(_END)
                line = line.removesuffix(_END)
                if line and not _UNASKED.match(line):
                    os.write(2, line)
                if is_end:
                    os.close(telling)
    finally:
        os._exit(0)
