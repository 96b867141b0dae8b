"""Readers and spoilt files: some of each kind every time, ten thousand in the slow tests.

More, and other seeds: `python -m tests.fuzz`.
"""

import logging
import random

import pytest

from tests.export.encoded_images import good_images
from tests.fuzz.mutation import mutate
from tests.fuzz.runner import fuzz
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, targets

FAST = [target for target in TARGETS if target.name != "images"]  # TensorFlow is slow, one by one.
NAMES = [target.name for target in FAST]


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def said(outcome):
    return f"{outcome}\n" + "\n".join(outcome.examples.values())


@pytest.mark.parametrize("target", FAST, ids=NAMES)
def test_spoilt_files_are_read_or_refused_with_a_message(target):
    outcome = fuzz(target, 25, seed=1)
    assert not outcome.findings, said(outcome)
    assert outcome.cases == 25 == outcome.read + outcome.refused


@pytest.mark.slow
@pytest.mark.parametrize("target", FAST, ids=NAMES)
@pytest.mark.timeout(3600)
def test_ten_thousand_spoilt_files(target):
    outcome = fuzz(target, 10_000)
    assert not outcome.findings, said(outcome)


@pytest.mark.slow
def test_training_and_scoring_refuse_nearly_the_same_images():
    """And neither crashes, hangs or reads another size; how often one side reads alone is known."""
    (target,) = targets(["images"])
    outcome = fuzz(target, 300)
    assert not outcome.findings, said(outcome)
    assert outcome.refused <= 0.03 * outcome.cases, said(outcome)


def broken_target(read, errors=(ValueError,)):
    def prepare(folder):
        (folder / "a.json").write_text('{"a": [1, 2, {"b": "c"}]}')

    return Target("broken", prepare, ("a.json",), read, errors)


def test_what_a_reader_must_not_do_is_found():
    def crash(folder):
        if (folder / "a.json").read_bytes() != b'{"a": [1, 2, {"b": "c"}]}':
            raise KeyError("a")

    def write(folder):
        if (folder / "a.json").read_bytes() != b'{"a": [1, 2, {"b": "c"}]}':
            (folder.parent / "outside").write_text("x")

    def foreign(folder):
        (folder / "a.json").read_bytes().decode("ascii")

    (found,) = fuzz(broken_target(crash), 20).findings
    assert found.startswith("KeyError in fuzz_test.py")
    assert set(fuzz(broken_target(write), 3).findings) == {"files were written"}
    names = fuzz(broken_target(foreign), 300).findings
    assert all(name.startswith("UnicodeDecodeError") for name in names)


def test_a_case_is_the_same_every_time():
    data = good_images()["png"]
    for name in ("a.png", "a.json", "a.csv"):
        given = b'{"a": 1, "b": [1, 2]}' if name == "a.json" else data
        pairs = [mutate(given, name, random.Random(f"x {seed}")) for seed in (1, 1, 2)]
        assert pairs[0] == pairs[1] != pairs[2]


def test_an_unknown_target_is_named():
    with pytest.raises(ValueError, match="No target 'x'. Expected some of: table"):
        targets(["x"])
