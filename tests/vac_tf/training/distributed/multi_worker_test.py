"""Two worker processes on this host: the steps of one device, and runs that lose a worker."""

import dataclasses
import json
import signal
import time

import numpy as np
import pytest

from tests.vac_tf.training.distributed.shared_steps import train, variables
from tests.vac_tf.training.distributed.worker_processes import results_of, start_workers
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.training.distributed.distribution import ONE_DEVICE

pytestmark = pytest.mark.slow
DEADLINE = 240.0
STEPS_PER_EPOCH = 6


@pytest.fixture(scope="module")
def settings():
    optimization = {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 1e-3}
    return optimization | {"gradient_clip_norm": 0.5, "ema_decay": 0.9}


def test_two_workers_make_the_steps_of_one_device(settings, tmp_path):
    paths = [str(tmp_path / f"worker{number}.npz") for number in range(2)]
    module = "tests.vac_tf.training.distributed.shared_steps"
    commands = [["-m", module, json.dumps(settings), path] for path in paths]
    assert [code for code, _ in results_of(start_workers(*commands))] == [0, 0]
    chief, other = [np.load(path) for path in paths]
    for name in chief.files:
        np.testing.assert_array_equal(chief[name], other[name], err_msg=name)
    for number, expected in enumerate(variables(train(ONE_DEVICE, **settings)[0])):
        np.testing.assert_allclose(chief[f"synchronized {number}"], expected, atol=1e-5)


def start_run(config):
    """train.py on two workers, which save their state after every step."""
    defaults = dataclasses.asdict(TrainConfig())
    values = dataclasses.asdict(config) | {"checkpoint_seconds": 0.0}
    flags = [f"--{name}={value}" for name, value in values.items() if value != defaults[name]]
    return start_workers(*[["train.py", *flags]] * 2)


def progress_of(config):
    try:
        with np.load(RunFolder(config.run_dir).state_file) as arrays:
            return json.loads(arrays["progress"].tobytes())
    except FileNotFoundError:
        return {"epoch": 0, "step": 0}


def steps_of(config):
    progress = progress_of(config)
    return progress["epoch"] * STEPS_PER_EPOCH + progress["step"]


def interrupt(config, signal_number, after_steps):
    """Starts the run and sends the second worker a signal; the results of both."""
    processes = start_run(config)
    deadline = time.monotonic() + DEADLINE
    while steps_of(config) < after_steps and time.monotonic() < deadline:
        assert processes[0].poll() is None, results_of(processes)
        time.sleep(0.02)
    processes[1].send_signal(signal_number)
    return results_of(processes)


@pytest.fixture(scope="module")
def config(tiny_settings, finished_run, tmp_path_factory):
    """Of a run whose images `finished_run` has made already."""
    folder = str(tmp_path_factory.mktemp("workers"))
    return TrainConfig(run_dir=f"{folder}/whole", strategy="multi_worker", **tiny_settings)


@pytest.mark.timeout(1800)  # Four runs of two processes each, which a busy machine draws out.
def test_a_lost_worker_ends_a_run_that_then_ends_as_if_nothing_had_happened(config):
    assert [code for code, _ in results_of(start_run(config))] == [0, 0]
    interrupted = dataclasses.replace(config, run_dir=f"{config.run_dir}_interrupted")
    (code, errors), (killed, _) = interrupt(interrupted, signal.SIGKILL, 2)
    assert (code, killed) == (75, -signal.SIGKILL)
    last = errors.strip().splitlines()[-1]
    assert last.startswith("Worker 0 has lost worker 1 (localhost:") and "same command" in last
    assert "Traceback" not in errors

    after = steps_of(interrupted)
    results = interrupt(interrupted, signal.SIGTERM, after + 2)
    assert [code for code, _ in results] == [143, 143]
    assert after + 2 <= steps_of(interrupted) < 2 * STEPS_PER_EPOCH

    assert [code for code, _ in results_of(start_run(interrupted))] == [0, 0]
    with (
        np.load(RunFolder(config.run_dir).state_file) as whole,
        np.load(RunFolder(interrupted.run_dir).state_file) as resumed,
    ):
        assert whole.files == resumed.files
        for name in set(whole.files) - {"progress"}:
            np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
