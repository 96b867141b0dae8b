"""The range test: the steps of a training, at rates that grow, of which nothing is left behind."""

import csv
import json
import math
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from PIL import Image

from tests.programs.warm_start import start_warm
from tests.vac_tf.tiny_backbones import add_tiny_backbones
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.training.run import prepare_run, run
from vac_tf.tuning import range_test
from vac_tf.tuning.range_test import format_range_test, run_range_test


@pytest.fixture(autouse=True)
def backbone(tiny_backbone):
    return tiny_backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def training(tiny_settings, folder):
    settings = tiny_settings | {"backbone": "tiny", "epochs": 1}
    return TrainConfig(run_dir=str(folder / "run"), **settings)


@pytest.fixture(scope="module")
def tuning(folder):
    return TuningConfig(output_dir=str(folder / "tuned"), range_steps=14, lowest_rate=1e-4)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def tested(training, tuning, folder):
    """A range test of a training that has run, and the files that were there before."""
    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        run(training)
        before = contents(folder)
        return run_range_test(tuning, training), before


def test_the_rate_grows_by_equal_factors_from_the_lowest_to_the_highest(tuning):
    rate = range_test.growing_rate(tuning)
    rates = [float(rate(step)) for step in range(tuning.range_steps)]
    assert rates[0] == pytest.approx(1e-4) and rates[-1] == pytest.approx(1.0)
    assert np.diff(np.log(rates)) == pytest.approx(np.diff(np.log(rates))[0])


class GivenRate(keras.optimizers.schedules.LearningRateSchedule):
    """The value of a variable, whatever the step."""

    def __init__(self):
        self.value = keras.Variable(0.0, trainable=False)

    def __call__(self, step):
        return self.value.value


def test_its_steps_are_those_of_the_training(training, tested):
    """Against the slow way: a step of Keras at a time, the rate set before each."""
    steps = tested[0].steps
    data, trainer = prepare_run(training)
    rate = trainer.optimizer.learning_rate = GivenRate()
    batches = [batch for epoch in range(3) for batch in data.training.epoch(epoch)]
    assert len(steps) == 14 < len(batches)
    for step, batch, expected in zip(steps, batches, np.geomspace(1e-4, 1.0, 14), strict=False):
        rate.value.assign(expected)
        trainer.reset_metrics()
        loss = trainer.train_on_batch(*batch, return_dict=True)["loss"]
        assert step["loss"] == pytest.approx(float(loss), rel=1e-3)
        assert step["learning_rate"] == pytest.approx(expected, rel=1e-4)


def test_an_existing_run_stays_as_it_is(tested, folder):
    after, before = contents(folder), tested[1]
    assert {path: after.get(path) for path in before} == before
    names = {os.path.relpath(path, folder) for path in set(after) - set(before)}
    assert names == {f"tuned/range_test.{ending}" for ending in ("png", "csv", "json")}


def test_what_is_written_says_the_same_as_what_is_printed(tuning, tested):
    result, folder = tested[0], tuning.output_dir
    with open(f"{folder}/range_test.csv", newline="") as stream:
        rows = [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]
    assert rows == result.steps
    with open(f"{folder}/range_test.json") as stream:
        found = json.load(stream)
    assert found["rates"] == result.suggestion.rates
    assert found["training"]["transforms"] == "hflip"
    text = format_range_test(result, folder)
    for rate in found["rates"].values():
        assert f"{rate:.2g}" in text
    with Image.open(f"{folder}/range_test.png") as picture:
        assert picture.width == 1210


def losses_of(monkeypatch, losses):
    """Makes the steps of a training have these losses."""

    def take_steps(training, num_steps, callbacks):
        optimizer = keras.optimizers.SGD(0.0)
        trainer = types.SimpleNamespace(optimizer=optimizer, reset_metrics=lambda: None)
        (record,) = callbacks(types.SimpleNamespace(optimizer=types.SimpleNamespace()))
        record.set_model(trainer)
        trainer.stop_training = False
        for number, loss in enumerate(losses):
            optimizer.learning_rate = 10.0 ** (number - 6)
            record.on_train_batch_begin(number)
            record.on_train_batch_end(number, {"loss": loss})
            if trainer.stop_training:
                return

    monkeypatch.setattr(range_test, "take_steps", take_steps)


@pytest.mark.parametrize("last", [1e3, math.nan, math.inf])
def test_a_divergence_ends_it(training, tuning, monkeypatch, last):
    losses_of(monkeypatch, [4.0, 3.0, 2.0, 1.0, 2.0, last, 1.0])
    result = run_range_test(tuning, training)
    assert [step["loss"] for step in result.steps[:-1]] == [4.0, 3.0, 2.0, 1.0, 2.0]
    assert result.steps[-1]["loss"] == (last if math.isfinite(last) else None)
    assert "at step 6" in result.ended
    assert "at step 6" in format_range_test(result, tuning.output_dir)
    with open(f"{tuning.output_dir}/range_test.json") as stream:
        assert json.load(stream)["ended"] == result.ended


def test_losses_that_only_rise_suggest_nothing(training, tuning, monkeypatch):
    losses_of(monkeypatch, [1.0, 1.1, 1.2, 1.3])
    text = format_range_test(run_range_test(tuning, training), tuning.output_dir)
    assert "falls nowhere" in text and "--learning_rate=" not in text


def test_a_loss_that_is_never_finite_is_an_error_and_writes_nothing(
    training, tmp_path, monkeypatch
):
    losses_of(monkeypatch, [1.0, math.nan])
    with pytest.raises(ValueError, match="not finite at step 2, .*--lowest_rate"):
        run_range_test(TuningConfig(output_dir=str(tmp_path)), training)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"output_dir": ""}, "output_dir is needed"),
        ({"lowest_rate": 2.0}, "lowest_rate must be below highest_rate, got 2 and 1"),
        ({"range_steps": 2}, "range_steps must be at least 10"),
    ],
)
def test_unusable_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TuningConfig(**({"output_dir": "tuned"} | settings))


@pytest.mark.slow
def test_the_program_takes_the_flags_of_a_training(tiny_settings, tmp_path):
    names = ("data_dir", "scenes_train_images", "scenes_image_size", "image_size", "batch_size")
    flags = [f"--{name}={tiny_settings[name]}" for name in names]
    run_dir = tmp_path / "never"
    done = subprocess.run(
        [
            *(sys.executable, "tune.py", "--mode=range_test", "--range_steps=10", *flags),
            *(f"--output_dir={tmp_path / 'tuned'}", f"--run_dir={run_dir}", "--transforms=hflip"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "10 steps: all 10 steps were taken" in done.stdout
    assert (tmp_path / "tuned/range_test.png").exists() and not run_dir.exists()


def test_the_folder_of_a_run_is_no_place_for_results(training, tested):
    done = start_warm("tune.py", f"--output_dir={training.run_dir}")
    assert done.returncode == 3
    last = done.stderr.strip().splitlines()[-1]
    assert "is the folder of a run (config.json lies in it)" in last


def test_a_file_is_no_folder_for_results(training):
    tuning = TuningConfig(output_dir=str(REPOSITORY / "README.md"))
    with pytest.raises(ValueError, match="README.md' cannot be written: File exists. Choose"):
        run_range_test(tuning, training)
