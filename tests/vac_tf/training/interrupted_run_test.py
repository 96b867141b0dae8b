"""A run that is interrupted in every way, and ends as if nothing had happened."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run

STEPS_PER_EPOCH = 6
DEADLINE = 240.0


def start(config):
    """train.py with the flags of `config`, saving its state after every step."""
    defaults = dataclasses.asdict(TrainConfig())
    values = dataclasses.asdict(config) | {"checkpoint_seconds": 0.0}
    flags = [f"--{name}={value}" for name, value in values.items() if value != defaults[name]]
    return subprocess.Popen(
        [sys.executable, "train.py", *flags],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    process = start(config)
    deadline = time.monotonic() + DEADLINE
    try:
        while finished_steps(config) < after_steps:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, f"no {after_steps} steps in {DEADLINE} s"
            time.sleep(0.02)
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    return process.returncode, errors


def state(config):
    with np.load(RunFolder(config.run_dir).state_file) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


@pytest.fixture(scope="module")
def interrupted_run(finished_run, tmp_path_factory):
    """The config of a run that was interrupted twice and then finished; and what it said."""
    folder = str(tmp_path_factory.mktemp("interrupted") / "run")
    config = dataclasses.replace(finished_run, run_dir=folder)
    reports = []
    # In the middle of the first epoch, and of the second one.
    for signal_number, after_steps in ((signal.SIGKILL, 3), (signal.SIGTERM, 8)):
        reports.append(interrupt(config, signal_number, after_steps))
        assert after_steps <= finished_steps(config) < 12
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
    assert (account["epochs"], account["steps"]) == (2, 12)
    with open(os.path.join(config.run_dir, "log.csv")) as stream:
        assert [line.split(",")[:2] for line in stream][1:] == [["1", "6"], ["2", "12"]]


def test_it_ends_with_the_same_state_bit_for_bit(interrupted_run, finished_run):
    interrupted, uninterrupted = state(interrupted_run[0]), state(finished_run)
    assert interrupted.keys() == uninterrupted.keys()
    for name, expected in uninterrupted.items():
        np.testing.assert_array_equal(interrupted[name], expected, err_msg=name)


def test_its_log_is_the_same(interrupted_run, finished_run):
    def rows(config):
        with open(os.path.join(config.run_dir, "log.csv")) as stream:
            header, *lines = (line.strip().split(",") for line in stream)
        rows = [dict(zip(header, line, strict=True)) for line in lines]
        timings = {"seconds", "data_wait_share"}
        return [{k: float(v) for k, v in row.items() if k not in timings} for row in rows]

    assert rows(interrupted_run[0]) == rows(finished_run)
