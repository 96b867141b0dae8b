"""Runs that stop without warning after some of their saves, and are started again.

    python -m tests.vac_tf.training.epochs.broken_runs SETTINGS FOLDER

makes, on two logical CPUs, an unbroken run of the settings (JSON) in FOLDER/whole and a broken one
in FOLDER/broken.
"""

import dataclasses
import json
import sys

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder


class StopsNowError(BaseException):
    """In the place of a kill: nothing of the library may catch it."""


def stop_after(saves, run, config):
    """Runs `run(config)` until it has written so many states."""
    from vac_tf.training.epochs import training_run

    save, left = training_run.save_state, [saves]

    def save_and_stop(*arguments):
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            raise StopsNowError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "save_state", save_and_stop)
        with pytest.raises(StopsNowError):
            run(config)


def run_broken(config, run, saves_between):
    """`run(config)` in processes that stop after so many saves each, and then to its end."""
    for saves in saves_between:
        stop_after(saves, run, config)
    return run(config)


def assert_equal_states(first, second):
    """Asserts that two run folders stand at the same state, bit for bit."""
    with (
        np.load(RunFolder(first).state_file) as one,
        np.load(RunFolder(second).state_file) as other,
    ):
        assert one.files == other.files and len(one.files) > 1
        for name in set(one.files) - {"progress"}:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        accounts = [json.loads(each["progress"].tobytes()) for each in (one, other)]
    timings = {"seconds", "images_per_second", "data_wait_share"}
    for account in accounts:
        account["history"] = [
            {name: row[name] for name in row if name not in timings} for row in account["history"]
        ]
        account.pop("networks", None)  # The files hold the time at which they were written.
    assert accounts[0] == accounts[1]


def main(settings, folder):
    """An unbroken and a broken run on two logical CPUs."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    from tests.vac_tf.tiny_backbones import add_tiny_backbones
    from vac_tf.training.run import run

    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        config = TrainConfig(run_dir=f"{folder}/whole", **settings)
        run(config)
        run_broken(dataclasses.replace(config, run_dir=f"{folder}/broken"), run, (2, 3, 4))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
