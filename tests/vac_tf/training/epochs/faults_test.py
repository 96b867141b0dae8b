"""What may go wrong around a run: the clock, its images, numbers that are none, a full disk."""

import dataclasses
import errno
import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from tests.programs.warm_start import start_warm
from tests.vac_tf.training.epochs.broken_runs import assert_equal_states, stop_after
from tests.vac_tf.training.epochs.loop_test import DATA, STEPS, train
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, Split
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches
from vac_tf.models import build_classifier
from vac_tf.models.saving import save_network
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.states import check_whole, newest_whole_state
from vac_tf.training.divergence import DivergenceError
from vac_tf.training.epochs import training_run
from vac_tf.training.run import run

# ---- The clock


def test_a_clock_that_is_set_back_changes_nothing(config, monkeypatch):
    saves, hours = [], iter(range(10**6, 0, -1))
    monkeypatch.setattr(time, "time", lambda: 3600.0 * next(hours))
    save = training_run.save_state
    monkeypatch.setattr(training_run, "save_state", lambda *given: saves.append(save(*given)))
    progress, weight = train(dataclasses.replace(config, checkpoint_seconds=0.0))
    assert len(saves) == 3 * (STEPS + 2) and weight == 0.5**12
    assert all(row["seconds"] >= 0 for row in progress["history"])


# ---- Numbers that are none


def test_a_loss_that_is_not_finite_names_the_files_of_its_batch(config):
    train(dataclasses.replace(config, epochs=1))
    good = newest_whole_state(RunFolder(config.run_dir).state_file)
    folder = RunFolder(config.run_dir)
    folder.write_json("config.json", dataclasses.asdict(config))
    # Its gradient ruins the weights at step 6, so that the loss of step 7 is NaN.
    with pytest.raises(DivergenceError, match=r"not finite at step 7.*epoch1_step2\.png.") as error:
        train(config, ruined_step=6)
    assert error.value.image_paths == ["epoch1_step2.png"]
    found = folder.read_json("diverged.json")
    assert found["images"] == ["epoch1_step2.png"] and "step 7" in found["reason"]
    assert newest_whole_state(folder.state_file).progress == good.progress


def test_of_many_files_the_first_are_named_and_all_are_listed(config, monkeypatch):
    paths = [f"{number}.png" for number in range(32)]
    monkeypatch.setattr(DATA.training, "image_paths", lambda *_: paths, raising=False)
    with pytest.raises(DivergenceError, match="0.png, 1.png, 2.png, 3.png and 28 more"):
        train(config, ruined_step=2)
    assert RunFolder(config.run_dir).read_json("diverged.json")["images"] == paths


@pytest.mark.parametrize("mode", ["random", "union"])
def test_the_files_of_a_step_are_those_that_it_sees(tmp_path, mode):
    """Each image is of one grey level, its number."""
    paths = tuple(str(tmp_path / f"{number}.png") for number in range(10))
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number,) * 3).save(path)
    split = Split(paths, np.zeros((10, 1), "float32"), ("label",))
    augmentation = Augmentation(parse_transforms("hflip,scale:4", "bilinear"), mode)
    source = ImageSource(split, ImageSettings(8))
    batches = TrainingBatches(source, split.labels, 3, seed=1, augmentation=augmentation)
    for step, (images, _) in enumerate(batches.epoch(2)):
        levels = {int(image[0, 0, 0]) for image in images.numpy().round()}
        named = batches.image_paths(2, range(step, step + 1))
        assert {paths[level] for level in levels} == set(named)
    assert set(batches.image_paths(2, range(batches.steps_per_epoch))) == set(paths)


# ---- Images that vanish


def write_table(folder):
    """A table dataset of two labels: `train` and `val`."""
    folder.mkdir()
    for split, count in (("train", 8), ("val", 4)):
        lines = ["image,cat,dog"]
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), "uint8")
            Image.fromarray(pixels).save(folder / f"{split}{number}.png")
            lines.append(f"{split}{number}.png,{number % 2},{int(number < 2)}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return str(folder)


def test_an_image_that_vanishes_is_named_and_the_run_goes_on_once_it_is_back(
    tmp_path, tiny_backbone, monkeypatch
):
    config = TrainConfig(
        run_dir=str(tmp_path / "whole"),
        dataset="table",
        data_dir=write_table(tmp_path / "data"),
        backbone=tiny_backbone,
        image_size=16,
        batch_size=2,
        epochs=2,
        checkpoint_seconds=0.0,
    )
    run(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    path, away = f"{config.data_dir}/train5.png", f"{config.data_dir}/away"
    save = training_run.save_state

    def save_and_lose(*arguments):
        save(*arguments)
        if not os.path.exists(away):
            os.rename(path, away)

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "save_state", save_and_lose)
        with pytest.raises(DatasetError, match=f"{path}.*No such file"):
            run(broken)
    state_file = RunFolder(broken.run_dir).state_file
    check_whole(state_file)
    assert newest_whole_state(state_file).progress["epoch"] < 2
    os.rename(away, path)
    run(broken)
    assert_equal_states(config.run_dir, broken.run_dir)


# ---- Disks


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB, eight states of a run; skipped where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("No file system can be mounted here.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start(config):
    """`train.py` of a config: exit code and standard error."""
    defaults = dataclasses.asdict(TrainConfig())
    values = dataclasses.asdict(config)
    flags = [f"--{name}={value}" for name, value in values.items() if value != defaults[name]]
    done = start_warm("train.py", *flags)
    return done.returncode, done.stderr


def fill(filler, mebibytes_left):
    """Fills a disk with one file."""
    filler.unlink(missing_ok=True)
    free = shutil.disk_usage(filler.parent).free
    filler.write_bytes(bytes(max(free - int(mebibytes_left * 2**20), 0)))


@pytest.mark.slow
def test_a_network_on_a_full_disk_leaves_the_one_before(small_disk):
    network = build_classifier("small", 2, 32)
    path = str(small_disk / "network.keras")
    save_network(network, path)
    with open(path, "rb") as stream:
        before = stream.read()
    for room in (0.0, 1.0):
        fill(small_disk / "filler", room)
        with pytest.raises(OSError, match=r"No space left.*network\.keras"):
            save_network(network, path)
        with open(path, "rb") as stream:
            assert stream.read() == before
        assert sorted(os.listdir(small_disk)) == ["filler", "network.keras"]


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_point_costs_nothing(tiny_settings, tmp_path, small_disk):
    """From the fourth start on there is room for one more state, of the four that a run has."""
    settings = tiny_settings | {"ema_decay": 0.0, "checkpoint_seconds": 0.0}
    config = TrainConfig(run_dir=str(tmp_path / "whole"), **settings)
    run(config)
    broken = dataclasses.replace(config, run_dir=str(small_disk / "run"))
    filler, ends = small_disk / "filler", []
    for room in (0.0, 0.1, 6.0, *[13.0] * 7):
        fill(filler, room)
        code, errors = start(broken)
        ends.append((room, code))
        if code == 0:
            break
        assert code == 3, errors
        last = errors.strip().splitlines()[-1]
        assert "No space left" in last and str(small_disk) in last, errors
        assert "Traceback" not in errors
        newest = newest_whole_state(RunFolder(broken.run_dir).state_file)
        assert newest is None or not newest.damaged
    assert ends[-1][1] == 0 and len(ends) >= 4, ends
    assert_equal_states(config.run_dir, broken.run_dir)


@pytest.mark.slow
def test_a_run_on_a_disk_that_is_read_only_is_refused(tiny_settings, small_disk):
    settings = tiny_settings | {"ema_decay": 0.0, "epochs": 1}
    config = TrainConfig(run_dir=str(small_disk / "run"), **settings)
    assert start(config)[0] == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, errors = start(dataclasses.replace(config, epochs=2))
    assert code == 3 and "Traceback" not in errors
    assert "cannot be written: Read-only file system. Choose another --run_dir" in errors


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_in_an_epoch_is_named_and_the_state_before_whole(
    config, monkeypatch, number
):
    broken = dataclasses.replace(config, checkpoint_seconds=0.0)
    stop_after(8, train, broken)
    state_file = RunFolder(config.run_dir).state_file

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        named = (
            rf"{os.strerror(number)}: the state of the run .* the previous one is whole.*state\.npz"
        )
        with pytest.raises(OSError, match=named):
            train(broken)
    assert newest_whole_state(state_file).progress["step"] == 2
    assert train(broken)[1] == 0.5**12
