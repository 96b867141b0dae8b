"""The last states of a run: what was damaged is found, and the one before is there."""

import builtins
import errno
import io
import json
import os
import random

import numpy as np
import pytest

from vac_tf.runs.progress import DamagedStateError
from vac_tf.runs.states import (
    NoWholeStateError,
    check_whole,
    fall_back_to_good,
    good_state_beside,
    keep_as_good,
    newest_whole_state,
    put_aside,
    states_beside,
    write_state,
)


def progress_of(step):
    return {"epoch": 1, "step": step, "history": [], "best": {}, "best_epoch": 0, "winner": ""}


def archive_of(step):
    archive = io.BytesIO()
    progress = np.frombuffer(json.dumps(progress_of(step)).encode(), np.uint8)
    np.savez(archive, variable_0=np.full(100, step, "float32"), progress=progress)
    return archive


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.npz")


def write(path, *steps, keep=2):
    for step in steps:
        write_state(path, archive_of(step), keep)


def names_of(path):
    return sorted(os.listdir(os.path.dirname(path)))


def newest_step(path):
    return newest_whole_state(path).progress["step"]


def cut(contents):
    return contents[: len(contents) * 2 // 3]


def empty(contents):
    return b""


def flip(contents):
    place = len(contents) // 2
    return contents[:place] + bytes([contents[place] ^ 4]) + contents[place + 1 :]


def grow(contents):
    return contents + b"\0"


def damage(file, how):
    with open(file, "rb") as stream:
        contents = stream.read()
    os.remove(file)  # Not the same file under another name.
    with open(file, "wb") as stream:
        stream.write(how(contents))


DAMAGES = [cut, empty, flip, grow]


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_last_states_are_kept(path, keep):
    write(path, *range(1, 7), keep=keep)
    files = states_beside(path)
    assert [np.load(file)["variable_0"][0] for file in files] == [6, 5, 4, 3, 2, 1][:keep]
    assert len(names_of(path)) == keep and newest_step(path) == 6


def test_fewer_states_are_kept_when_fewer_are_asked_for(path):
    write(path, 1, 2, 3, 4, keep=4)
    write(path, 5, keep=2)
    assert [np.load(file)["variable_0"][0] for file in states_beside(path)] == [5, 4]


@pytest.mark.parametrize("how", DAMAGES)
def test_the_state_before_a_damaged_one_is_found(path, how):
    write(path, 1, 2)
    damage(path, how)
    with pytest.raises(DamagedStateError, match=r"state\.npz cannot be read as the state"):
        check_whole(path)
    state = newest_whole_state(path)
    assert state.progress == progress_of(1) and state.path.endswith("earlier_1.npz")
    assert list(state.damaged) == [path] and state.damaged[path]


def test_any_flipped_bit_is_found(path):
    write(path, 1)
    with open(path, "rb") as stream:
        whole = stream.read()
    chance = random.Random(0)
    # All of the end, where the archive says of itself what it is, and some of the rest.
    places = [*range(len(whole) - 120, len(whole)), *chance.sample(range(len(whole) - 120), 100)]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        with open(path, "wb") as stream:
            stream.write(changed)
        with pytest.raises(DamagedStateError):
            check_whole(path)


def test_a_state_without_a_checksum_is_read_and_its_damage_found(path):
    contents = archive_of(3).getvalue()
    with open(path, "wb") as stream:
        stream.write(contents)
    assert newest_step(path) == 3
    for how in DAMAGES:
        with open(path, "wb") as stream:
            stream.write(how(contents))
        with pytest.raises(NoWholeStateError):
            newest_whole_state(path)


def test_a_lost_newest_state_is_no_start_from_the_beginning(path):
    write(path, 1, 2)
    os.remove(path)
    assert newest_step(path) == 1


def test_there_may_be_no_state(path):
    assert newest_whole_state(path) is None and states_beside(path) == []
    assert newest_whole_state(os.path.join(path, "no folder", "state.npz")) is None


def test_when_all_are_damaged_each_is_named_and_none_is_gone(path):
    write(path, 1)
    keep_as_good(path)
    write(path, 2, 3)
    before = names_of(path)
    for name in before:
        damage(os.path.join(os.path.dirname(path), name), cut)
    with pytest.raises(NoWholeStateError, match="nothing was deleted") as error:
        newest_whole_state(path)
    assert names_of(path) == before == ["earlier_1.npz", "good.npz", "state.npz"]
    for name in before:
        assert f"{name}: it ends in the middle" in str(error.value)


def test_a_damaged_state_takes_no_place_of_a_whole_one(path):
    write(path, 1, 2)
    damage(path, flip)
    put_aside(newest_whole_state(path).damaged)
    assert names_of(path) == ["earlier_1.npz", "state.npz.damaged"] and newest_step(path) == 1
    write(path, 3)
    damage(path, flip)
    assert newest_step(path) == 1
    write(path, 4)
    keep_as_good(path)
    assert names_of(path) == ["earlier_1.npz", "good.npz", "state.npz"]


def test_a_divergence_leaves_the_good_state_only(path):
    write(path, 1)
    keep_as_good(path)
    write(path, 2, 3)
    assert fall_back_to_good(path) == progress_of(1)
    assert names_of(path) == ["good.npz", "state.npz"] and newest_step(path) == 1


def test_a_divergence_before_any_good_state_leaves_none(path):
    write(path, 1, 2)
    assert fall_back_to_good(path) is None
    assert names_of(path) == []


def test_a_damaged_good_state_is_not_fallen_back_on(path):
    write(path, 1)
    keep_as_good(path)
    write(path, 2)
    damage(good_state_beside(path), cut)
    with pytest.raises(DamagedStateError, match="good.npz"):
        fall_back_to_good(path)
    assert names_of(path) == ["earlier_1.npz", "good.npz", "state.npz"] and newest_step(path) == 2


@pytest.mark.parametrize("failing", ["fsync", "link", "replace"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_at_any_moment_leaves_a_whole_newest_state(path, monkeypatch, failing, after):
    write(path, 1, 2)
    calls = []
    real = getattr(os, failing)

    def full(*arguments):
        calls.append(failing)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        if failing != "link":  # Without links a copy is made.
            patch.setattr("shutil.copyfile", full)
        try:
            write(path, 3)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    assert calls and newest_step(path) in (2, 3)
    assert not [name for name in names_of(path) if "partial" in name]
    assert len(states_beside(path)) == 2


def test_a_kill_at_any_system_call_leaves_a_whole_newest_state(path):
    calls = 0
    while True:
        for name in names_of(path):
            os.remove(os.path.join(os.path.dirname(path), name))
        write(path, 1, 2, keep=3)
        if (child := os.fork()) == 0:
            _die_before_call(calls, lambda: write(path, 3, keep=3))
        has_ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        state = newest_whole_state(path)
        assert state.progress["step"] in (2, 3) and not state.damaged
        for file in states_beside(path):
            check_whole(file)
        if has_ended:
            break
        calls += 1
    assert state.progress["step"] == 3 and calls >= 6


def _die_before_call(number, body):
    """Runs the body in a process that is no more before its `number`th change of a file."""
    left = [number]

    def dying(real):
        def call(*arguments, **options):
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            return real(*arguments, **options)

        return call

    try:
        for name in ("fsync", "link", "replace", "remove"):
            setattr(os, name, dying(getattr(os, name)))
        builtins.open = dying(open)
        body()
        os._exit(0)
    finally:
        os._exit(1)
