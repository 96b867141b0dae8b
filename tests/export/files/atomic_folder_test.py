"""Folders that appear whole or not at all, whatever fails and whenever the process dies."""

import os
import subprocess
import sys

import pytest

from export.files import atomic_folder
from export.files.atomic_folder import replace_folder

MARKER = "marker.json"


def write(folder, content):
    """Writes a folder with one file of `content` beside the marker."""
    with replace_folder(str(folder), MARKER, "example") as new:
        for name in (MARKER, content):
            with open(os.path.join(new, name), "w") as file:
                file.write(content)


def die_while_writing(folder):
    """A process that is killed before its folder takes its place."""
    program = f"""
import os
from export.files.atomic_folder import replace_folder
with replace_folder({str(folder)!r}, {MARKER!r}, "example") as new:
    open(os.path.join(new, "half"), "w").close()
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9


def without_exchange(monkeypatch):
    """As on a file system that cannot exchange two folders in one step."""
    monkeypatch.setattr(atomic_folder, "exchange", lambda first, second: False)


def fail_at_rename(monkeypatch, *numbers):
    """Makes the renames of these numbers fail, as on a server of files that has gone away."""
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) in numbers:
            raise OSError(5, "Input/output error", target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)


def test_the_older_folder_stays_when_a_rename_fails(tmp_path, monkeypatch):
    write(tmp_path / "folder", "first")
    without_exchange(monkeypatch)
    fail_at_rename(monkeypatch, 2)  # The first puts the older folder aside.
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "folder", "second")
    assert sorted(os.listdir(tmp_path / "folder")) == ["first", MARKER]
    assert os.listdir(tmp_path) == ["folder"]


def test_an_older_folder_that_cannot_be_put_back_is_kept_for_the_next_call(tmp_path, monkeypatch):
    write(tmp_path / "folder", "first")
    with monkeypatch.context() as changes:
        without_exchange(changes)
        fail_at_rename(changes, *range(2, 9))
        with pytest.raises(OSError, match="Input/output error"):
            write(tmp_path / "folder", "second")
    assert not (tmp_path / "folder").exists()
    with pytest.raises(RuntimeError, match="power cut"):
        with replace_folder(str(tmp_path / "folder"), MARKER, "example"):
            raise RuntimeError("power cut")
    assert sorted(os.listdir(tmp_path / "folder")) == ["first", MARKER]
    assert os.listdir(tmp_path) == ["folder"]


def test_folders_are_exchanged_in_one_step(tmp_path, monkeypatch):
    write(tmp_path / "folder", "first")
    fail_at_rename(monkeypatch, 1)
    write(tmp_path / "folder", "second")
    assert sorted(os.listdir(tmp_path / "folder")) == [MARKER, "second"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    write(tmp_path / "disk" / "folder", "first")
    for name, target in (("link", "disk/folder"), ("link_to_nothing_yet", "disk/other")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name, "second")
        assert (tmp_path / name).is_symlink()
        assert sorted(os.listdir(tmp_path / target)) == [MARKER, "second"]
    assert sorted(os.listdir(tmp_path / "disk")) == ["folder", "other"]


def test_what_killed_processes_left_is_removed(tmp_path):
    for _ in range(2):
        die_while_writing(tmp_path / "folder")
    (tmp_path / ".folder.precious").mkdir()
    write(tmp_path / "folder", "whole")
    assert sorted(os.listdir(tmp_path)) == [".folder.precious", "folder"]


def test_what_a_living_process_writes_is_not_removed(tmp_path):
    with replace_folder(str(tmp_path / "folder"), MARKER, "example") as slow:
        write(tmp_path / "folder", "fast")
        assert os.path.isdir(slow)
        for name in (MARKER, "slow"):
            open(os.path.join(slow, name), "w").close()
    assert sorted(os.listdir(tmp_path / "folder")) == [MARKER, "slow"]
    assert os.listdir(tmp_path) == ["folder"]
