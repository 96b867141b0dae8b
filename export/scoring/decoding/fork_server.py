"""A process that has imported what decoders need, and forks them on request.

Of `multiprocessing`, the context "forkserver" would do the same, but run the main script of the
user in every child, which breaks scripts that do not expect it. Forks of the scoring process itself
would take its threads' locks and its GPU along.
"""

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

_DESCRIPTORS = 3
_PREFER_TO_BE_KILLED = "500"  # Of -1000 to 1000: a decoder is replaced, the job would be gone.
_SECONDS_TO_END = 5.0
_ENVIRONMENT = {
    # A fork takes along one thread only.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # The C library would give the arrays of each image back to the system and get them anew, page
    # by page: half of the time of loading. Those above 8 MiB still go back, and more than 32 MiB.
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
}
# Its arrays in huge pages, where Linux leaves that to programs: a processor finds few large pages
# faster than many small ones, which is 12 % of the CPU time of loading on a virtual machine, for
# 2 MiB of memory. Other C libraries ignore it.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"


class ForkServer:
    """The server, seen from the process that started it. It and its children end with that one.

    Raises:
        OSError: when no process can be started.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        source = (
            f"import sys; sys.path[:] = {sys.path!r};"
            f" from {__name__} import serve; serve({theirs.fileno()})"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", source],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is for the job, which ends its decoders itself. Not a session: Linux would
                # give that a share of the processor of its own, however many processes it has.
                process_group=0,
                env=_environment(),
            )

    def fork(self, descriptors: Sequence[int]) -> None:
        """Starts `export.scoring.decoding.worker.work` in a new process, with copies of these.

        Raises:
            OSError: when the server is gone.
        """
        socket.send_fds(self._control, [b"f"], list(descriptors))

    def close(self) -> None:
        """Ends the server and its children, whatever they are at."""
        self._control.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """This process's environment, with how the C library is to keep memory."""
    tunables = [text for text in (os.environ.get("GLIBC_TUNABLES"), _HUGE_PAGES) if text]
    return os.environ | _ENVIRONMENT | {"GLIBC_TUNABLES": ":".join(tunables)}


def serve(control_descriptor: int) -> None:
    """Runs the server, until the other end of the control socket is closed."""
    from export.scoring.decoding.worker import work

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Children leave nothing behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # So that the collector of a child does not copy what it shares.
    control = socket.socket(fileno=control_descriptor)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, _DESCRIPTORS)
        if not message:
            os.killpg(0, signal.SIGKILL)
        if _fork() == 0:
            control.close()
            try:
                work(*descriptors)
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork() -> int:
    try:
        process = os.fork()
    except OSError as error:  # Seen by the other side, too: nobody is there.
        print(f"No decoder process can be started: {error.strerror}.", file=sys.stderr)
        return -1
    if process == 0:
        # Not allowed in every container, and not needed.
        with (
            contextlib.suppress(OSError),
            open("/proc/self/oom_score_adj", "w", encoding="ascii") as file,
        ):
            file.write(_PREFER_TO_BE_KILLED)
    return process
