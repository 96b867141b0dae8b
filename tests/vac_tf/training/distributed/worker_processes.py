"""Processes on this host that find each other by TF_CONFIG."""

import json
import os
import socket
import subprocess
import sys

from tools.python_imports import REPOSITORY


def free_addresses(number):
    """Addresses of this host on which nobody listens now."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(number)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start_workers(*commands):
    """Starts one worker for each command, a list of arguments to Python; returns the processes."""
    addresses = free_addresses(len(commands))
    return [start_worker(command, addresses, index) for index, command in enumerate(commands)]


def start_worker(command, addresses, index):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=os.environ | {"TF_CONFIG": json.dumps(config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(processes, timeout=300.0):
    """Exit code and standard error of each, in order; none is left behind."""
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, errors, strict=True)]
