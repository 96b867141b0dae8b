"""Trainings that are killed and continued: what the comparison sees, and the whole program once."""

import random
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from experiments.killed_runs import arrays_of, differences, kill_again_and_again
from tools.python_imports import REPOSITORY


@pytest.fixture
def write_run(tmp_path):
    """Writes the folder of a run with one weight and one line of its log."""

    def write(name, weight=1.0, statistic=2.0, loss=0.5, seconds=3.0):
        last = tmp_path / name / "phase_1a" / "last"
        last.mkdir(parents=True)
        progress = np.frombuffer(f"{seconds}".encode(), np.uint8)
        np.savez(last / "state.npz", variable_0=np.float32(weight), progress=progress)
        weights = tmp_path / "model.weights.h5"
        with h5py.File(weights, "w") as file:
            file["layers/convolution/vars/0"] = np.full(3, statistic)
        with zipfile.ZipFile(last.parent / "network.keras", "w") as archive:
            archive.write(weights, weights.name)
        log = f"epoch,loss,seconds\n1,{loss},{seconds}\n"
        (last.parent / "log.csv").write_text(log)
        return tmp_path / name

    return write


def test_equal_runs_differ_in_their_timings_only(write_run):
    first, second = write_run("first"), write_run("second", seconds=9.0)
    assert differences(first, second) == ([], 2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weight": np.nextafter(np.float32(1), 2)}, ["phase_1a/last/state.npz: variable_0"]),
        ({"weight": -0.0}, ["phase_1a/last/state.npz: variable_0"]),
        ({"statistic": 2.5}, ["phase_1a/network.keras: layers/convolution/vars/0"]),
        ({"loss": 0.25}, ["log.csv"]),
    ],
)
def test_a_difference_is_named(write_run, changes, named):
    first = write_run("first", **({"weight": 0.0} if changes.get("weight") == 0 else {}))
    assert differences(first, write_run("second", **changes))[0] == named


def test_a_run_that_lacks_something_differs(write_run):
    first, second = write_run("first"), write_run("second")
    (second / "phase_1a" / "network.keras").unlink()
    assert differences(first, second)[0] == [
        name for name, _ in arrays_of(first) if "keras" in name
    ]


class SteppingTraining:
    """A training of 40 steps that has one step more at every look."""

    steps = 40

    def __init__(self):
        self._done = 0

    def start(self, _):
        return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def done(self, _):
        self._done += 1
        return self._done


@pytest.mark.parametrize("kills", [1, 2, 4])
def test_the_last_kill_leaves_a_state_to_go_on_from(kills):
    waited, chance = [], random.Random(0)
    chance.randint = lambda low, high: waited.append(low) or low
    done = kill_again_and_again(SteppingTraining(), None, kills, 0.01, chance)
    assert len(done) == kills and len(waited) == max(kills - 1, 1)
    assert waited[-1] >= 1 and done[-1] > waited[-1]


@pytest.mark.slow
def test_trainings_are_killed_and_end_the_same():
    command = [sys.executable, "-m", "experiments.killed_runs", "--kills=3", "--epochs=1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line[:20].strip(): line[20:].split()[:4] for line in done.stdout.splitlines()[1:]}
    assert list(rows) == ["classifier", "average of weights", "dual stream"]
    for kills, arrays, differing, steps in rows.values():
        assert (kills, differing) == ("1", "0") and int(arrays) > 10 and int(steps) > 0
