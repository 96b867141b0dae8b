"""The folder of a run: whose it is, and files that appear whole or not at all."""

import dataclasses
import errno
import json
import os
import subprocess
import sys

import pytest

from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def config(tmp_path):
    return TrainConfig(run_dir=str(tmp_path / "runs" / "first"), transforms="hflip")


@pytest.fixture
def folder(config):
    return RunFolder(config.run_dir)


def test_a_new_folder_is_claimed_and_its_config_read_back(config, folder):
    folder.check(config)
    folder.claim(config)
    assert folder.read_config() == config
    folder.claim(config)


def test_another_config_is_refused_with_every_difference(config, folder):
    folder.claim(config)
    other = dataclasses.replace(config, learning_rate=0.5, transforms="hflip,rotate:1")
    for use in (folder.check, folder.claim):
        with pytest.raises(ValueError) as error:
            use(other)
        text = str(error.value)
        assert "belongs to another config" in text and "another --run_dir" in text
        assert "learning_rate: 0.002 there, 0.5 now" in text
        assert "transforms: 'hflip' there, 'hflip,rotate:1' now" in text
        assert text.count(" there, ") == 2
    assert folder.read_config() == config


def test_settings_that_change_no_result_may_differ(config, folder, tmp_path):
    folder.claim(config)
    moved = tmp_path / "moved"
    os.rename(config.run_dir, moved)
    other = dataclasses.replace(
        config,
        run_dir=str(moved),
        data_dir="elsewhere",
        cache="memory",
        cache_dir="cache",
        cache_content="inputs",
        checkpoint_seconds=5.0,
        check_data=True,
    )
    RunFolder(str(moved)).claim(other)


def test_a_run_of_another_version_is_refused(config, folder):
    folder.claim(config)
    values = dataclasses.asdict(config) | {"warp_factor": 9}
    folder.write_json("config.json", values)
    with pytest.raises(ValueError, match=r"unknown settings \['warp_factor'\]"):
        folder.read_config()
    with pytest.raises(ValueError, match="warp_factor: 9 there, 'absent' now"):
        folder.check(config)
    del values["warp_factor"], values["seed"]
    folder.write_json("config.json", values)
    with pytest.raises(ValueError, match="seed: 'absent' there, 0 now"):
        folder.check(config)


def test_a_run_made_before_a_setting_existed_is_continued_as_it_was(config, folder):
    folder.claim(config)
    values = dataclasses.asdict(config)
    for name in ("label_columns", "ignore_columns", "repeated_images", "round_inputs"):
        del values[name]
    folder.write_json("config.json", values)
    assert folder.read_config() == config
    folder.claim(config)
    with pytest.raises(ValueError, match="repeated_images: 'first' there, 'all' now"):
        folder.check(dataclasses.replace(config, repeated_images="all"))


def test_a_config_that_is_no_longer_valid_names_its_file(config, folder):
    folder.claim(config)
    folder.write_json("config.json", dataclasses.asdict(config) | {"precision": "float8"})
    with pytest.raises(ValueError, match=r"config\.json: Unknown precision 'float8'"):
        folder.read_config()


def test_no_run_dir_is_refused():
    with pytest.raises(ValueError, match="run_dir is needed"):
        RunFolder("").check(TrainConfig())


@pytest.mark.parametrize("inside", ["", "deeper/run"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, inside):
    (tmp_path / "file").write_text("not a folder")
    config = TrainConfig(run_dir=str(tmp_path / "file" / inside))
    with pytest.raises(ValueError, match="cannot be written: .*Choose another --run_dir"):
        RunFolder(config.run_dir).claim(config)


def test_a_read_only_file_system_is_refused(config, folder, monkeypatch):
    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(ValueError, match="cannot be written: Read-only file system"):
        folder.claim(config)


def test_missing_and_damaged_json_is_named(folder, config):
    with pytest.raises(
        ValueError, match=r"No config\.json in .*Expected the folder that train\.py"
    ):
        folder.read_config()
    folder.claim(config)
    whole = open(folder.file("config.json")).read()
    with open(folder.file("config.json"), "w") as stream:
        stream.write(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"config\.json, line \d+, column \d+: not valid JSON"):
        folder.read_config()


def test_json_holds_no_nan_and_any_letter(folder, config):
    folder.claim(config)
    folder.write_json("labels.json", {"label_names": ["Möhre", "猫"]})
    assert folder.read_json("labels.json") == {"label_names": ["Möhre", "猫"]}
    with pytest.raises(ValueError, match="Out of range"):
        folder.write_json("labels.json", {"ratio": float("nan")})
    assert json.load(open(folder.file("labels.json")))["label_names"][0] == "Möhre"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_previous_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "file"
    write_atomically(str(path), b"before")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(str(path), b"after")
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_a_second_process_is_refused_and_told_who_is_there(config, folder):
    folder.claim(config)
    source = f"""
import sys
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
with RunFolder({config.run_dir!r}).claimed(TrainConfig(**{dataclasses.asdict(config)})):
    print("locked", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        text = f"process {holder.pid} on .* trains in .*Wait for it, or give another --run_dir"
        with pytest.raises(ValueError, match=text), folder.claimed(config):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with folder.claimed(config):
        pass
