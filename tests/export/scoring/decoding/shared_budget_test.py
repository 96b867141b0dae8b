"""Memory that processes share, here by places in one process."""

import os
import threading

import pytest

from export.images.image_header import ImageError
from export.scoring.decoding.shared_budget import SharedBudget, map_held_bytes
from export.scoring.decoding.shared_memory import make_memory, map_array


@pytest.fixture
def descriptor():
    descriptor = make_memory("test", 16)
    yield descriptor
    os.close(descriptor)


def test_one_waits_until_the_other_is_done(descriptor):
    first, second = (SharedBudget(descriptor, 2, place, 100) for place in (0, 1))
    events = []

    def hold():
        with second.hold(60):
            events.append("second")

    with first.hold(60):
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join(0.05)
        events.append("first")
    thread.join()
    assert events == ["first", "second"]
    with first.hold(60), second.hold(40):
        assert map_held_bytes(descriptor, 2).tolist() == [60, 40]
    assert map_held_bytes(descriptor, 2).tolist() == [0, 0]


def test_more_than_there_is_in_all_is_refused(descriptor):
    budget = SharedBudget(descriptor, 2, 0, 100)
    with budget.hold(100):
        pass
    with pytest.raises(ImageError, match="more than --decoding_memory_mb") as caught:
        with budget.hold(101):
            pass
    assert caught.value.status == "out_of_memory"


def test_what_a_process_that_died_held_can_be_freed(descriptor):
    with pytest.raises(KeyError):
        with SharedBudget(descriptor, 2, 0, 100).hold(100):
            map_held_bytes(descriptor, 2)[0] = 0
            with SharedBudget(descriptor, 2, 1, 100).hold(100):
                raise KeyError


def test_shared_memory_begins_with_zeros_and_outlives_its_descriptor():
    descriptor = make_memory("test", 24)
    array, other = (map_array(descriptor, (2, 3), "float32") for _ in range(2))
    os.close(descriptor)
    assert not array.any()
    array[1, 2] = 5.0
    assert other.tolist() == [[0, 0, 0], [0, 0, 5]]


def test_memory_that_cannot_be_had_is_an_error():
    descriptor = make_memory("test", 2**60)
    with pytest.raises(OSError, match="1099511627776 MiB of shared memory cannot be had: Cannot"):
        map_array(descriptor, (2**60,), "uint8")
    os.close(descriptor)
