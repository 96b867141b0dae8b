"""A thread that takes items from the thread that makes them, in order."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from typing import Any, TypeVar

from export.files.daemon_threads import DaemonThreadPool

_Item = TypeVar("_Item")
_END = object()


class Abandoned(BaseException):
    """Tells a consumer that no more items come, because the thread that makes them failed."""


@contextlib.contextmanager
def consume_behind(
    consume: Callable[[Iterable[_Item]], None], ahead: int
) -> Iterator[Callable[[_Item], None]]:
    """Gives the body a function that hands an item to `consume`, which runs beside the body.

    The function waits while `ahead` items wait for `consume`, and raises what `consume` raised.
    When the body ends, the items that wait are consumed first; when it ends by an exception
    (Ctrl-C too), `consume` then finds `Abandoned` raised where it asks for the next item, so that
    it takes back what it has begun.

    Args:
        consume: Takes all items.
        ahead: How many items wait at most.
    """
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    room = threading.Semaphore(ahead)
    pool = DaemonThreadPool(1)

    def taken() -> Iterator[_Item]:
        while (item := items.get()) is not _END:
            if isinstance(item, Abandoned):
                raise item
            room.release()
            yield item

    consumed = pool.submit(consume, taken())
    consumed.add_done_callback(lambda _: room.release())  # Nobody else would.

    def put(item: _Item) -> None:
        room.acquire()
        if consumed.done():
            consumed.result()
            raise RuntimeError("The consumer ended before the last item.")
        items.put(item)

    try:
        yield put
        items.put(_END)
        consumed.result()
    except BaseException:
        items.put(Abandoned())
        wait([consumed])
        raise
    finally:
        pool.shutdown(wait=False)
