"""Items go to a thread of their own in order; errors of either side end both."""

import threading

import pytest

from export.scoring.engine.consumer_thread import Abandoned, consume_behind


def test_items_come_in_order_on_another_thread():
    taken, threads = [], set()

    def consume(items):
        threads.add(threading.current_thread())
        taken.extend(items)

    with consume_behind(consume, ahead=2) as put:
        for number in range(100):
            put(number)
    assert taken == list(range(100))
    assert threads and threading.current_thread() not in threads


def test_few_items_wait():
    made, may_take = [], threading.Semaphore(0)

    def consume(items):
        for number in items:
            assert may_take.acquire(timeout=20)
            # One is here, two wait, and the next stands before the door.
            assert number <= made[-1] <= number + 3

    with consume_behind(consume, ahead=2) as put:
        for number in range(20):
            made.append(number)
            may_take.release()
            put(number)
    assert made == list(range(20))


@pytest.mark.parametrize("items", [1, 100])
def test_an_error_of_the_consumer_is_raised_where_the_items_are_made(items):
    made = []

    def consume(items):
        for _ in items:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        with consume_behind(consume, ahead=2) as put:
            for number in range(items):
                put(number)
                made.append(number)
    assert len(made) <= 4


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_when_making_fails_what_waits_is_consumed_and_then_abandoned(error):
    taken, ends = [], []

    def consume(items):
        try:
            taken.extend(items)
        except BaseException as found:
            ends.append(type(found))
            raise

    with pytest.raises(error):
        with consume_behind(consume, ahead=5) as put:
            for number in range(5):
                put(number)
            raise error
    assert taken == list(range(5)) and ends == [Abandoned]


def test_a_consumer_that_takes_too_few_is_an_error():
    with pytest.raises(RuntimeError, match="ended before the last item"):
        with consume_behind(next, ahead=1) as put:
            for number in range(10):
                put(number)
