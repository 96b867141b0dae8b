"""How long a thread waits for Python's interpreter lock."""

import contextlib
import threading
import time

_PAUSE_SECONDS = 0.001
_PAUSES_BEFORE = 20
# Of a pause longer than asked for, on a slow timer; more is a lock that others held before, too.
_MOST_TIMER_SECONDS = 0.0005


class LockWait:
    """A context that measures, while its body runs, how contended the interpreter lock is.

    A thread pauses for a millisecond, again and again. A pause lasts longer by the time in which
    others hold the lock: what it takes at best and what the thread waited for a core (as Linux
    says) are taken off, the latter also from the time in all. So 0 means that the lock is free
    whenever it is wanted; one other thread that computes in Python without a pause gives some 0.8,
    since it is asked to hand the lock over after 5 ms. It is the loss of a thread that wants the
    lock now and then, not the share of the time in which the lock is held: many short holds cost
    nobody much, and count little. This is how the package gilknocker measures it.

    Attributes:
        share: Of the body's time that such a thread waited, 0 to 1.
        processor_seconds: What measuring took itself.
        ready_seconds: In which measuring waited for a core.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.processor_seconds = 0.0
        self.ready_seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> "LockWait":
        shortest = min(_pause() for _ in range(_PAUSES_BEFORE))
        self._at_best = min(shortest, _PAUSE_SECONDS + _MOST_TIMER_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _measure(self) -> None:
        start, ready = time.perf_counter(), _ready_seconds()
        lost = 0.0
        while not self._is_over.is_set():
            lost += max(_pause() - self._at_best, 0.0)
        self.ready_seconds = _ready_seconds() - ready
        seconds = time.perf_counter() - start - self.ready_seconds
        self.share = min(max((lost - self.ready_seconds) / max(seconds, 1e-9), 0.0), 1.0)
        self.processor_seconds = time.thread_time()


def _pause() -> float:
    """Seconds of one pause and of having the lock again."""
    start = time.perf_counter()
    time.sleep(_PAUSE_SECONDS)
    return time.perf_counter() - start


def _ready_seconds() -> float:
    """In which this thread could have run and had no core; 0 where Linux does not say."""
    with (
        contextlib.suppress(OSError),
        open("/proc/thread-self/schedstat", encoding="ascii") as file,
    ):
        return 1e-9 * int(file.read().split()[1])
    return 0.0
