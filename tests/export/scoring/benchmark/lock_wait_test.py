"""How long a thread waits for the interpreter lock."""

import threading
import time

from export.scoring.benchmark.lock_wait import LockWait
from tests.export.scoring.benchmark.stand_ins import compute


def test_a_thread_that_computes_in_python_is_waited_for_and_one_that_sleeps_is_not():
    with LockWait() as idle:
        time.sleep(0.2)
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            compute()

    thread = threading.Thread(target=work)
    thread.start()
    shares = []
    while max(shares, default=0.0) <= 0.5 and len(shares) < 10:  # Other processes take turns, too.
        with LockWait() as busy:
            time.sleep(0.2)
        shares.append(busy.share)
    is_over.set()
    thread.join()
    assert 0.0 <= idle.share < 0.5 < max(shares) <= 1.0
    assert 0.0 < idle.processor_seconds < 0.2
