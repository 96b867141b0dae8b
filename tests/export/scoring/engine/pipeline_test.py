"""Batches are uploaded and used while the network computes others, and never mixed up."""

import itertools
import random
import threading
import time

import numpy as np
import pytest

from export.images.image_header import ImageError
from export.scoring.decoding.batch_loader import LoadedBatch
from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.pipeline import run_ahead
from export.scoring.runtime.network_devices import DeviceError, NetworkDevices
from export.scoring.sources.image_file import ImageView
from export.scoring.sources.input import ScoringInput

SLOTS = 2


class FakeBuffer:
    """Computes the mean of each slot, when it is allowed to."""

    def __init__(self, session):
        self.session = session

    def upload(self, images):
        self.uploaded = images.copy()

    def run(self, outputs):
        assert self.session.may_run.wait(10)
        time.sleep(self.session.delay())
        self.session.calls += 1
        if self.session.calls == self.session.fails_at:
            raise RuntimeError("out of memory")
        return {name: self.uploaded.mean(axis=(1, 2, 3)) for name in outputs}


class FakeSession:
    def __init__(self, fails_at=0, delay=lambda: 0.0):
        self.delay = delay
        self.may_run = threading.Event()
        self.may_run.set()
        self.calls, self.fails_at = 0, fails_at

    def input_buffers(self, slots, count):
        assert (slots, count) == (SLOTS, 2)
        return [FakeBuffer(self) for _ in range(count)]

    def lock_pages(self, images):
        self.locked = images


class FakeLoader:
    """Loads numbers: a negative one is an input that failed."""

    def __init__(self, kept=2):
        self.kept = kept
        self.images = np.zeros((kept + 2, SLOTS, 1, 1, 3), np.float32)

    def load(self, batches):
        places = itertools.cycle(self.images[: self.kept])
        for batch in batches:
            # As the real one: the place of a batch is used again, whoever still reads it.
            images = next(places)
            images[:] = 0
            for slot, value in enumerate(batch):
                images[slot] = max(value, 0)
            yield LoadedBatch([loaded(value) for value in batch], images)


def run(*sessions, batches):
    devices = NetworkDevices({f"device {n}": session for n, session in enumerate(sessions)})
    return run_ahead(devices, FakeLoader(2 * len(sessions)), batches, ("p",))


def loaded(value):
    scoring_input = ScoringInput(str(value), str(value))
    if value < 0:
        return LoadedInput(scoring_input, error=ImageError("missing", "gone"))
    return LoadedInput(scoring_input, ImageView(np.full((1, 1, 3), value), (0, 0, 1, 1)))


def batches(values, taken=None):
    for first in range(0, len(values), SLOTS):
        if taken is not None:
            taken.append(first // SLOTS)
        yield values[first : first + SLOTS]


def test_every_row_gets_its_own_value():
    values = list(range(1, 12))
    found = []
    session = FakeSession()
    for batch, outputs in run(session, batches=batches(values)):
        assert len(outputs["p"]) == len(batch)
        found += outputs["p"].tolist()
    assert found == values
    assert session.locked.shape == (4, SLOTS, 1, 1, 3)


def test_failed_inputs_are_black_and_a_batch_of_them_is_not_computed():
    session = FakeSession()
    results = [v for _, v in run(session, batches=batches([-1, 5, -1, -1, 7]))]
    assert [list(value.get("p", ())) for value in results] == [[0.0, 5.0], [], [7.0]]
    assert session.calls == 2


def test_the_next_batch_is_uploaded_while_the_network_is_at_work():
    session, taken = FakeSession(), []
    session.may_run.clear()
    release = threading.Timer(0.2, session.may_run.set)
    stream = run(session, batches=batches([1, 2, 3, 4, 5, 6, 7], taken))
    release.start()
    next(stream)
    # The first result was waited for with the second batch handed to the network, and no third.
    assert taken == [0, 1]
    stream.close()
    release.join()


def test_a_failure_of_the_network_reaches_the_caller():
    stream = run(FakeSession(fails_at=2), batches=batches([1, 2, 3, 4, 5, 6]))
    next(stream)
    with pytest.raises(DeviceError, match="device 0 cannot compute the network: out of memory"):
        list(stream)


@pytest.mark.parametrize("seed", range(6))
def test_batches_stay_in_order_however_long_each_device_takes(seed):
    generator = random.Random(seed)
    longest = [generator.choice([0.0, 0.001, 0.004]) for _ in range(generator.randint(2, 4))]
    sessions = [FakeSession(delay=lambda most=most: random.uniform(0, most)) for most in longest]
    values = [generator.choice([-1, n]) for n in range(1, generator.randint(2, 90))]
    inputs, found = [], []
    for batch, outputs in run(*sessions, batches=batches(values)):
        inputs += [int(loaded.scoring_input.path) for loaded in batch]
        found += outputs["p"].tolist() if outputs else [0] * len(batch)
    assert inputs == values
    assert found == [max(value, 0) for value in values]


def test_a_device_computes_while_another_hangs():
    hanging, well = FakeSession(), FakeSession()
    hanging.may_run.clear()

    def release_at_the_second_call():
        if well.calls == 1:
            hanging.may_run.set()
        return 0.0

    well.delay = release_at_the_second_call
    stream = run(hanging, well, batches=batches(list(range(1, 9))))
    assert [value for _, outputs in stream for value in outputs["p"].tolist()] == list(range(1, 9))


def test_the_share_of_each_device_counts_images_that_it_computed():
    devices = NetworkDevices({"a": FakeSession(), "b": FakeSession()})
    list(run_ahead(devices, FakeLoader(4), batches([1, -1, -1, -1, 5, 6, 7]), ("p",)))
    assert sum(devices.images.values()) == 4


def test_a_device_that_is_lost_ends_the_stream_behind_the_batches_before():
    well, lost = FakeSession(), FakeSession(fails_at=1)
    stream = run(well, lost, batches=batches(list(range(1, 13))))
    assert next(stream)[1]["p"].tolist() == [1, 2]
    with pytest.raises(DeviceError, match="device 1 cannot compute the network: out of memory"):
        next(stream)
    assert well.calls <= 4  # Nothing was begun behind the fault.
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name and t.is_alive()]
