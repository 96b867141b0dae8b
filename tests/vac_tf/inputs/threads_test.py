"""Parallel work keeps its order and uses the cores that the process may use."""

import os
import threading
import time

import pytest

from vac_tf.inputs.threads import in_parallel


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("cores", [1, 3])
def test_there_are_as_many_threads_as_cores_in_the_affinity(monkeypatch, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    meeting = threading.Barrier(cores, timeout=60)

    def meet(item):
        meeting.wait()  # Fewer threads would wait in vain.
        return item, threading.get_ident()

    found = list(in_parallel(meet, range(4 * cores)))
    assert [item for item, _ in found] == list(range(4 * cores))
    assert len({thread for _, thread in found}) == cores


def test_what_is_not_wanted_any_more_is_not_begun(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    begun = []

    def work(item):
        begun.append(item)
        time.sleep(0.001)

    results = in_parallel(work, range(10_000))
    next(results)
    results.close()
    assert 1 <= len(begun) < 10_000


def test_an_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda item: 1 // item, [1, 0]))
