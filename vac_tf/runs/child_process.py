"""Programs that another one starts, and that stop when it is stopped."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Exit codes of a training that was asked to stop (129 and 143: by SIGHUP and SIGTERM), or whose
# workers were: it is unfinished, not failed.
INTERRUPTED = (75, 129, 130, 143)
_SECONDS_BETWEEN_LOOKS = 0.1


def run_child(
    command: Sequence[str], watch: Callable[[int], bool] | None = None, **options: Any
) -> int:
    """Runs a program to its end.

    It has a session of its own: Ctrl-C reaches the caller, which stops it once.

    Args:
        command: the program with its arguments.
        watch: called several times a second with its process id; what it answers True to is
            killed.
        options: of `subprocess.Popen`.

    Returns:
        Its exit code; of a killed one minus the signal.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        if watch is None:
            return process.wait()
        while True:
            try:
                return process.wait(_SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                if watch(process.pid):
                    process.kill()
    except BaseException:
        # Asked to stop: a training saves what it has, and the same command continues it.
        process.terminate()
        process.wait()
        raise


@contextlib.contextmanager
def stopping_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP stop this process as Ctrl-C does, so that no child is left behind."""

    def stop(*_):
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, stop) for number in _STOPPED}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
