"""Batches are uploaded and used while the network computes others, and never mixed up."""

import threading

import numpy as np
import pytest

from export.images.image_header import ImageError
from export.scoring.decoding.batch_loader import LoadedBatch
from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.pipeline import run_ahead
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
        self.session.calls += 1
        if self.session.calls == self.session.fails_at:
            raise RuntimeError("out of memory")
        return {name: self.uploaded.mean(axis=(1, 2, 3)) for name in outputs}


class FakeSession:
    def __init__(self, fails_at=0):
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

    images = np.zeros((4, SLOTS, 1, 1, 3), np.float32)

    def load(self, batches):
        for batch in batches:
            images = np.zeros(self.images.shape[1:], np.float32)
            for slot, value in enumerate(batch):
                images[slot] = max(value, 0)
            yield LoadedBatch([loaded(value) for value in batch], images)


def run(session, batches):
    return run_ahead(session, FakeLoader(), batches, ("p",))


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
    for batch, outputs in run(session, batches(values)):
        assert len(outputs["p"]) == len(batch)
        found += outputs["p"].tolist()
    assert found == values
    assert session.locked is FakeLoader.images


def test_failed_inputs_are_black_and_a_batch_of_them_is_not_computed():
    session = FakeSession()
    results = [v for _, v in run(session, batches([-1, 5, -1, -1, 7]))]
    assert [list(value.get("p", ())) for value in results] == [[0.0, 5.0], [], [7.0]]
    assert session.calls == 2


def test_the_next_batch_is_uploaded_while_the_network_is_at_work():
    session, taken = FakeSession(), []
    session.may_run.clear()
    release = threading.Timer(0.2, session.may_run.set)
    stream = run(session, batches([1, 2, 3, 4, 5, 6, 7], taken))
    release.start()
    next(stream)
    # The first result was waited for with the second batch handed to the network, and no third.
    assert taken == [0, 1]
    stream.close()
    release.join()


def test_a_failure_of_the_network_reaches_the_caller():
    stream = run(FakeSession(fails_at=2), batches([1, 2, 3, 4, 5, 6]))
    next(stream)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(stream)
