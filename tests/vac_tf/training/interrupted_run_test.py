"""A run that is interrupted in every way, and ends as if nothing had happened."""

import dataclasses
import json
import os
import signal
import time

import keras
import numpy as np
import pytest

from tests.programs.warm_start import running_warm
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run

STEPS_PER_EPOCH, EPOCHS = 12, 3  # Of short steps so many that none runs to its end meanwhile.
STEPS = STEPS_PER_EPOCH * EPOCHS
DEADLINE = 240.0


def flags_of(config):
    """The flags of train.py for `config`, saving its state after every step."""
    defaults = dataclasses.asdict(TrainConfig())
    values = dataclasses.asdict(config) | {"checkpoint_seconds": 0.0}
    return [f"--{name}={value}" for name, value in values.items() if value != defaults[name]]


def finished_steps(config):
    """Steps in the state of the run so far; 0 before there is one."""
    try:
        with np.load(RunFolder(config.run_dir).state_file) as arrays:
            progress = json.loads(arrays["progress"].tobytes())
    except FileNotFoundError:
        return 0
    return progress["epoch"] * STEPS_PER_EPOCH + progress["step"]


def interrupt(config, signal_number, after_steps):
    """Starts the run, ends it once it has done so many steps; exit code and standard error."""
    deadline = time.monotonic() + DEADLINE
    with running_warm("train.py", *flags_of(config)) as process:
        while finished_steps(config) < after_steps:
            assert process.is_there(), process.wait().stderr
            assert time.monotonic() < deadline, f"no {after_steps} steps in {DEADLINE} s"
            time.sleep(0.02)
        os.kill(process.pid, signal_number)
        done = process.wait()
    return done.returncode, done.stderr


def state(config):
    with np.load(RunFolder(config.run_dir).state_file) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


@pytest.fixture(scope="module")
def unbroken_run(tiny_settings, tmp_path_factory):
    """The config of a run that nothing interrupts.

    Its backbone is a file, which a process of its own can read, of one convolution.
    """
    folder = tmp_path_factory.mktemp("unbroken")
    images = keras.Input((None, None, 3))
    features = keras.layers.Rescaling(1 / 128, -1)(images)
    features = keras.layers.Conv2D(8, 16, strides=16, padding="same")(features)
    features = keras.layers.BatchNormalization()(features)
    keras.Model(images, features).save(folder / "backbone.keras")
    settings = tiny_settings | {"backbone": f"keras:{folder}/backbone.keras", "epochs": EPOCHS}
    settings["batch_size"] = settings["scenes_train_images"] // STEPS_PER_EPOCH
    config = TrainConfig(run_dir=str(folder / "run"), **settings)
    run(config)
    return config


@pytest.fixture(scope="module")
def interrupted_run(unbroken_run, tmp_path_factory):
    """The config of a run that was interrupted twice and then finished; and what it said."""
    folder = str(tmp_path_factory.mktemp("interrupted") / "run")
    config = dataclasses.replace(unbroken_run, run_dir=folder)
    reports = []
    # At the earliest in the middle of the first epoch, and of the second one.
    for signal_number, after_steps in ((signal.SIGKILL, 3), (signal.SIGTERM, 14)):
        reports.append(interrupt(config, signal_number, after_steps))
        assert after_steps <= finished_steps(config) < STEPS
        assert not [name for name in os.listdir(folder) if "partial" in name]
    return config, reports, run(config)


def test_the_exit_code_and_the_last_line_say_how_it_ended(interrupted_run):
    _, ((killed, _), (terminated, errors)), _ = interrupted_run
    assert (killed, terminated) == (-signal.SIGKILL, 143)
    last = errors.strip().splitlines()[-1]
    assert last == "Interrupted by SIGTERM; start the same command again to continue."
    assert "Traceback" not in errors


def test_it_ends_with_the_same_number_of_steps(interrupted_run):
    config, _, account = interrupted_run
    assert (account["epochs"], account["steps"]) == (EPOCHS, STEPS)
    rows = [[str(epoch), str(epoch * STEPS_PER_EPOCH)] for epoch in range(1, EPOCHS + 1)]
    with open(os.path.join(config.run_dir, "log.csv")) as stream:
        assert [line.split(",")[:2] for line in stream][1:] == rows


def test_it_ends_with_the_same_state_bit_for_bit(interrupted_run, unbroken_run):
    interrupted, uninterrupted = state(interrupted_run[0]), state(unbroken_run)
    assert interrupted.keys() == uninterrupted.keys()
    for name, expected in uninterrupted.items():
        np.testing.assert_array_equal(interrupted[name], expected, err_msg=name)


def test_its_log_is_the_same(interrupted_run, unbroken_run):
    def rows(config):
        with open(os.path.join(config.run_dir, "log.csv")) as stream:
            header, *lines = (line.strip().split(",") for line in stream)
        rows = [dict(zip(header, line, strict=True)) for line in lines]
        timings = {"seconds", "data_wait_share", "images_per_second"}
        return [{k: float(v) for k, v in row.items() if k not in timings} for row in rows]

    assert rows(interrupted_run[0]) == rows(unbroken_run)
