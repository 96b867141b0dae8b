"""What a worker says and does when another one is gone."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from vac_tf.training.distributed.cluster import Cluster

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
# As the errors of collective operations name them.
_TASK = re.compile(r"/job:(chief|worker)/replica:0/task:(\d+)")


class WorkerLostError(RuntimeError):
    """Another worker has ended, hangs or cannot be reached; the run stands at its last state."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: to be tried again.


@contextlib.contextmanager
def naming_lost_workers(cluster: Cluster | None) -> Iterator[None]:
    """Turns an error of an exchange between workers into a WorkerLostError.

    TensorFlow notices a worker that sends no heartbeat for 10 seconds, or whose connection breaks,
    and ends the exchange that waits for it.
    """
    try:
        yield
    except _LOST as error:
        if cluster is None:
            raise
        raise WorkerLostError(
            f"{_who(cluster, error.message)}: the run stands at the last state that the chief"
            " saved. Start the same command again on all workers to continue."
        ) from error


def _who(cluster, message):
    has_chief_job = "/job:chief/" in message
    numbers = {
        int(number) + (has_chief_job and job == "worker") for job, number in _TASK.findall(message)
    }
    lost = sorted(n for n in numbers if n != cluster.index and n < len(cluster.addresses))
    if not lost:
        return f"Worker {cluster.index} has lost another worker"
    named = ", ".join(f"worker {number} ({cluster.addresses[number]})" for number in lost)
    return f"Worker {cluster.index} has lost {named}"
