"""A server of `serve.py`, and clients that send it images."""

import contextlib
import dataclasses
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Run:
    """What one way did in one round.

    Attributes:
        seconds: From the first image to the last.
        latencies: Seconds of each request; none of a batch job.
        probabilities: `[images, labels]`.
    """

    seconds: float
    latencies: np.ndarray
    probabilities: np.ndarray


def send_all(address: str, bodies: Sequence[bytes], clients: int) -> Run:
    """Sends each body once.

    Raises:
        RuntimeError: for an answer other than 200, or a connection that breaks.
    """
    latencies, rows = np.zeros(len(bodies)), [None] * len(bodies)
    numbers, lock, faults = iter(range(len(bodies))), threading.Lock(), []

    def work() -> None:
        host = urllib.parse.urlsplit(address).netloc
        with contextlib.closing(http.client.HTTPConnection(host, timeout=600)) as connection:
            while not faults:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                start = time.perf_counter()
                try:
                    connection.request("POST", "/score", bodies[number])
                    response = connection.getresponse()
                    answer = response.read()
                except OSError as error:
                    faults.append(f"a connection broke: {error}")
                    return
                latencies[number] = time.perf_counter() - start
                if response.status != 200:
                    faults.append(f"the server answers {response.status}: {answer[:300]!r}")
                    return
                rows[number] = answer

    threads = [threading.Thread(target=work) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if faults:
        raise RuntimeError(faults[0])
    results = (json.loads(row)["results"][0] for row in rows)
    probabilities = np.array([list(result["probabilities"].values()) for result in results])
    return Run(seconds, latencies, probabilities)


@contextlib.contextmanager
def started_server(model: str) -> Iterator[tuple[str, int]]:
    """The address of a server that ends with the body, and the number of its process."""
    command = [sys.executable, "serve.py", f"--model={model}", "--port=0", "--drain_seconds=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        found = (re.search(r"at (http://\S+)", line) for line in lines)
        address = next((match[1] for match in found if match), None)
        if address is None:
            raise RuntimeError("serve.py did not start; start it alone to see why.")
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
