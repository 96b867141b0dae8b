"""Kept pictures: made once, by one of several processes; torn and unfinished files are replaced."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tools.python_imports import REPOSITORY
from vac_tf.inputs import image_cache
from vac_tf.inputs.image_cache import Pictures, keep_in_memory, keep_on_disk

ROWS = 6


def pictures(made=None, row_bytes=0):
    """Pictures of one colour each; the rows that are made are noted in `made`."""

    def make(row):
        if made is not None:
            made.append(row)
        return [np.full((4, 5, 3), row, "uint8")]

    return Pictures("train", ROWS, 1, make, "uint8", row_bytes)


def assert_kept(kept):
    for row in range(ROWS):
        np.testing.assert_array_equal(kept.picture(row), np.full((4, 5, 3), row))


def test_memory_and_disk_keep_the_same(tmp_path):
    assert_kept(keep_in_memory(pictures()))
    assert_kept(keep_on_disk(pictures(), str(tmp_path / "new"), "key"))


def test_a_file_is_written_once_for_each_key(tmp_path):
    made = []
    for key in ("a", "a", "b", "a"):
        assert_kept(keep_on_disk(pictures(made), str(tmp_path), key))
    assert sorted(made) == sorted([*range(ROWS)] * 2)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["torn", "empty", "left unfinished"])
def test_what_is_not_whole_is_written_anew(tmp_path, damage, caplog):
    keep_on_disk(pictures(), str(tmp_path), "key")
    (name,) = os.listdir(tmp_path)
    path = tmp_path / name
    if damage == "left unfinished":  # By a process that was killed.
        path.rename(f"{path}.partial")
    else:
        os.truncate(path, 0 if damage == "empty" else path.stat().st_size - 3)
    assert_kept(keep_on_disk(pictures(made := []), str(tmp_path), "key"))
    assert len(made) == ROWS and os.listdir(tmp_path) == [name]
    assert ("is not a whole file" in caplog.text) == (damage != "left unfinished")


def test_a_second_process_waits_for_the_first_and_writes_nothing(tmp_path, caplog):
    keep_on_disk(pictures(), str(tmp_path), "key")
    (name,) = os.listdir(tmp_path)
    path, partial = tmp_path / name, tmp_path / f"{name}.partial"
    path.rename(partial)
    made = []
    with open(partial, "rb") as first, caplog.at_level(logging.INFO):
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(
            target=lambda: assert_kept(keep_on_disk(pictures(made), str(tmp_path), "key"))
        )
        second.start()
        while "Waiting for the process that fills" not in caplog.text:
            time.sleep(0.01)
        partial.rename(path)
    second.join()
    assert made == [] and os.listdir(tmp_path) == [name]


@pytest.mark.slow
def test_processes_that_start_together_end_with_one_file(tmp_path):
    code = (
        "import sys; from tests.vac_tf.inputs.image_cache_test import *;"
        "assert_kept(keep_on_disk(pictures(), sys.argv[1], 'key'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(os.listdir(tmp_path)) == 1


def test_without_locks_it_is_written_all_the_same(tmp_path, monkeypatch):
    def no_locks(stream, operation):
        raise OSError(image_cache.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(image_cache.fcntl, "flock", no_locks)
    assert_kept(keep_on_disk(pictures(), str(tmp_path), "key"))
    assert_kept(keep_on_disk(pictures(made := []), str(tmp_path), "key"))
    assert made == []
    assert [name for name in os.listdir(tmp_path) if ".partial." in name] == []


@pytest.mark.parametrize("row_bytes", [0, 64])
def test_what_does_not_fit_is_one_sentence(tmp_path, monkeypatch, row_bytes):
    class Usage:
        free = 3 * 64

    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda folder: Usage)
    made = []
    with pytest.raises(ValueError, match=r"^The image cache .* images of train fill .*--cache_dir"):
        keep_on_disk(pictures(made, row_bytes), str(tmp_path), "key")
    assert os.listdir(tmp_path) == []
    assert (made == []) == bool(row_bytes)  # Where the sizes are known nothing is begun.
    monkeypatch.setattr(image_cache.os, "sysconf", lambda name: 13)
    with pytest.raises(ValueError, match=r"memory of this host, .* GiB; use --cache=disk"):
        keep_in_memory(pictures(row_bytes=row_bytes))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor, data, place):
        raise OSError(image_cache.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match=r"No space left on device \(the image cache"):
        keep_on_disk(pictures(), str(tmp_path), "key")
    assert os.listdir(tmp_path) == []
