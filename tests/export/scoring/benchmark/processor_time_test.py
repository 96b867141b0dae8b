"""Processor time of threads and processes."""

import os
import subprocess
import sys
import threading

import pytest

from export.scoring.benchmark import processor_time
from export.scoring.benchmark.processor_time import thread_times, time_between
from tests.export.scoring.benchmark.stand_ins import SECONDS, compute


@pytest.mark.parametrize("says_more", [True, False])
def test_threads_of_this_process(says_more, monkeypatch):
    if not says_more:  # A kernel without accounts of the time spent ready.
        monkeypatch.setattr(os.path, "exists", lambda path: False)
    before = thread_times([])
    thread = threading.Thread(target=lambda: [compute() for _ in range(10)])
    for _ in range(10):
        compute()
    thread.start()
    thread.join()
    found = time_between(before, thread_times([]))
    assert found.used >= 5 * SECONDS  # Its own: that of the thread ended with it.
    assert (found.ready is not None and found.ready >= 0.0) == says_more


def test_processes_by_number_and_those_that_are_gone_left_out():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        there = thread_times([process.pid])
        assert list(there) == [f"/proc/{process.pid}"]
        assert time_between(there, thread_times([process.pid])).used >= 0.0
    gone = thread_times([process.pid])
    assert gone == {} and time_between(there, gone) == processor_time.ThreadTime(0.0, 0.0)
