"""The workers of a run, as the environment variable TF_CONFIG names them."""

import contextlib
import dataclasses
import json
import socket
import time
from collections.abc import Mapping

_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Addresses `host:port` of all workers in order, and which of them this process is.

    The first is the chief, which writes the run folder.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def read_cluster(environment: Mapping[str, str]) -> Cluster:
    """The cluster of TF_CONFIG.

    Raises:
        ValueError: it is missing, is no such JSON, names an address twice, or a task that is none
            of its own.
    """
    text = environment.get("TF_CONFIG", "")
    if not text:
        raise _unusable("it is not set")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _unusable(f"it is no JSON ({error}): {text[:80]!r}") from error
    for part in ("cluster", "task"):
        if not isinstance(config, dict) or not isinstance(config.get(part), dict):
            raise _unusable(f"it has no object {part!r}: {text[:80]!r}")
    jobs, task = config["cluster"], config["task"]
    if unknown := sorted(set(jobs) - {"chief", "worker"}):
        raise _unusable(f"its cluster has the job {unknown[0]!r}; known are chief and worker")
    addresses = [_address(address) for job in ("chief", "worker") for address in _tasks(jobs, job)]
    for address in addresses:
        if addresses.count(address) > 1:
            raise _unusable(f"its cluster names the address {address!r} twice")
    return Cluster(tuple(addresses), _own_index(jobs, task))


def _tasks(jobs, job):
    tasks = jobs.get(job, [])
    if not isinstance(tasks, list):
        raise _unusable(f"its {job} is no list of addresses: {tasks!r}")
    if job == "chief" and len(tasks) > 1:
        raise _unusable(f"its cluster has {len(tasks)} chiefs instead of one")
    return tasks


def _address(address):
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise _unusable(f"its cluster has the address {address!r} instead of host:port")
    return address


def _own_index(jobs, task):
    job, index = task.get("type"), task.get("index")
    if job not in jobs:
        raise _unusable(f"its task has the type {job!r}, of which its cluster has none")
    count = len(jobs[job])
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
        raise _unusable(f"its task has the index {index!r}, but its cluster {count} of {job!r}")
    return index + (len(jobs.get("chief", [])) if job == "worker" else 0)


def _unusable(reason):
    return ValueError(
        f"TF_CONFIG cannot be used: {reason}. --strategy=multi_worker expects in it, for each"
        f" process with its own index: {_EXAMPLE}"
    )


def wait_for_workers(cluster: Cluster, seconds: float) -> None:
    """Waits until every other worker can be reached.

    Each listens on its own port meanwhile, which is free again afterwards.

    Raises:
        ValueError: naming the addresses that could not be reached in time, or a port of its own
            that is in use.
    """
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    deadline = time.monotonic() + seconds
    missing = [a for n, a in enumerate(cluster.addresses) if n != cluster.index]
    try:
        listening = socket.create_server(("", port), backlog=len(cluster.addresses))
    except OSError as error:
        raise ValueError(
            f"Port {port} of this worker, {cluster.addresses[cluster.index]}, cannot be used:"
            f" {error.strerror}. Is another process there, or the same task index twice?"
        ) from error
    with listening:
        while missing and time.monotonic() < deadline:
            missing = [address for address in missing if not _is_reachable(address)]
            if missing:
                time.sleep(min(0.2, max(deadline - time.monotonic(), 0.0)))
    if missing:
        raise ValueError(
            f"Worker {cluster.index} could not reach {', '.join(missing)} within {seconds:g} s."
            " Start all workers of TF_CONFIG, see that their ports are open, or wait longer with"
            " --connection_seconds."
        )


def _is_reachable(address):
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError):
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
        return True
    return False
