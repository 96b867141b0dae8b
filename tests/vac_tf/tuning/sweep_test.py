"""A sweep: each trial once, chosen by what validates, reported of on other images, once."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest

from flags import tuning as tuning_flags
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.configs.tuning.space import parse_space
from vac_tf.configs.tuning.sweep import Sweep
from vac_tf.runs.lock import lock_run
from vac_tf.tuning.sweep.run import Programs, run_sweep
from vac_tf.tuning.sweep.table import as_text

# Stands for train.py: notes its call, and its validation mAP is 1 - 100 * learning rate.
TRAIN = """
import json, os, sys
flags = dict(flag.lstrip("-").split("=", 1) for flag in sys.argv[2:] if "=" in flag)
rate = float(flags.get("learning_rate", 2e-3))
with open(sys.argv[1], "a") as calls:
    print("train", f"{rate:g}", file=calls)
if os.path.exists(f"{sys.argv[1]}.stops{rate:g}"):
    sys.exit(130)
if os.path.exists(f"{sys.argv[1]}.fails{rate:g}"):
    sys.exit("It diverges.")
os.makedirs(flags["run_dir"], exist_ok=True)
for name, content in (
    ("selection.json", {"validation_mAP": 1 - 100 * rate, "epoch": 3}),
    ("labels.json", {"selected_on": "val split", "label_names": ["a"]}),
):
    with open(os.path.join(flags["run_dir"], name), "w") as file:
        json.dump(content, file)
"""
# Stands for evaluate.py: its mAP rises with the learning rate, where that of validation falls.
EVALUATE = """
import json, os, sys
import numpy as np
flags = dict(flag.lstrip("-").split("=", 1) for flag in sys.argv[2:] if "=" in flag)
with open(sys.argv[1], "a") as calls:
    skips = ["skips"] if "--skip_bad_images" in sys.argv else []
    print("evaluate", os.path.basename(flags["run_dir"]), flags["split"], *skips, file=calls)
labels = np.arange(40)[:, None] % 2
scores = np.random.default_rng(0).normal(size=(40, 1)) + labels
np.savez(os.path.join(flags["run_dir"], "scores.npz"), images=np.arange(40).astype(str),
         labels=labels.astype("float32"), label_names=["a"], logits=scores.astype("float32"),
         units=np.arange(40))
with open(os.path.join(flags["run_dir"], "evaluation.json"), "w") as file:
    json.dump({"label_based": {"mAP": 0.9}}, file)
"""
GRID = ("learning_rate=1e-3,1e-4,1e-2",)


class Place:
    """A sweep over scenes whose programs are stand-ins."""

    def __init__(self, folder, settings):
        self.folder, self.settings = folder / "swept", settings
        self.calls_file = folder / "calls"

    def run(self, sweep=GRID, training=None, **tuning):
        tuning = TuningConfig(mode="sweep", output_dir=str(self.folder), **tuning)
        settings = {**self.settings, "run_dir": "never", **(training or {})}
        training = TrainConfig(**settings)
        kinds = {field.name: field.type for field in dataclasses.fields(TrainConfig)}
        swept = Sweep(parse_space(sweep, kinds), tuning_flags.training_with(training))
        programs = Programs(
            *([sys.executable, "-c", script, str(self.calls_file)] for script in (TRAIN, EVALUATE))
        )
        return run_sweep(tuning, training, swept, programs)

    def calls(self):
        """What was called since it was last asked."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        self.calls_file.unlink(missing_ok=True)
        return lines

    def mark(self, what):
        self.calls_file.with_name(f"calls.{what}").touch()

    def unmark(self, what):
        self.calls_file.with_name(f"calls.{what}").unlink()


@pytest.fixture
def place(tiny_settings, tmp_path):
    return Place(tmp_path, {k: v for k, v in tiny_settings.items() if k != "ema_decay"})


TRAINED = ["train 0.001", "train 0.0001", "train 0.01"]
REPORTED = "evaluate trial_002 test"


def test_every_trial_is_trained_and_the_best_on_validation_is_reported_of_once(place):
    result = place.run()
    assert place.calls() == [*TRAINED, REPORTED]
    assert [trial.validation_mAP for trial in result.trials] == pytest.approx([0.9, 0.99, 0.0])
    text = as_text(result)
    assert "Chosen: trial 2, --learning_rate=1e-4, by its mAP of 0.9900 on the val split" in text
    low, high = result.report["interval"]
    assert low < result.report["mAP"] < high
    assert f"mAP 0.9000 [{low:.4f}, {high:.4f}]" in text
    with open(place.folder / "sweep.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["learning_rate"] for row in rows] == ["1e-3", "1e-4", "1e-2"]
    page = (place.folder / "sweep.html").read_text()
    assert "0.9900" in page and "mAP 0.9000" in page
    assert json.loads((place.folder / "report.json").read_text())["trial"] == 2


def test_the_same_call_trains_and_reports_nothing_again(place):
    first = place.run()
    place.calls()
    assert place.run() == first
    assert place.calls() == []


def test_a_stopped_sweep_goes_on_with_the_trial_that_was_stopped(place):
    place.mark("stops0.0001")
    with pytest.raises(KeyboardInterrupt):
        place.run()
    assert place.calls() == TRAINED[:2]
    place.unmark("stops0.0001")
    place.run()
    assert place.calls() == [*TRAINED[1:], REPORTED]


def test_a_failed_trial_is_noted_and_stops_no_other_and_is_tried_again(place):
    place.mark("fails0.0001")
    result = place.run()
    assert place.calls() == [*TRAINED, "evaluate trial_001 test"]
    assert [trial.number for trial in result.failed] == [2]
    assert "Trial 2 failed: exit code 1: It diverges. See " in as_text(result)
    place.unmark("fails0.0001")
    assert place.run().failed == []
    assert place.calls() == [TRAINED[1], REPORTED]


def test_no_report_is_made_where_none_is_wanted_or_nothing_finished(place):
    assert place.run(report_split="none").report is None
    assert "evaluate" not in " ".join(place.calls())


def test_a_grid_has_every_combination(place):
    result = place.run(["learning_rate=1e-3,1e-4", "transforms=|hflip,scale:16"])
    assert [trial.values for trial in result.trials] == [
        {"learning_rate": rate, "transforms": transforms}
        for rate in ("1e-3", "1e-4")
        for transforms in ("", "hflip,scale:16")
    ]
    assert "(none)" in as_text(result)


RANGE = ("learning_rate=log:1e-4:1e-2", "batch_size=linear:4:8")


def test_more_trials_of_a_random_search_go_on_with_it(place):
    first = place.run(RANGE, sampler="random", trials=3)
    assert len(place.calls()) == 4
    second = place.run(RANGE, sampler="random", trials=5)
    assert second.trials[:3] == first.trials
    assert len([call for call in place.calls() if call.startswith("train")]) == 2
    for trial in second.trials:
        assert 1e-4 <= float(trial.values["learning_rate"]) <= 1e-2
        assert trial.values["batch_size"] in set("45678")


def test_optuna_is_asked_for_or_said_to_be_missing(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="not installed here: pip install -r requirements-optuna"):
        place.run(RANGE, sampler="optuna", trials=3)
    assert place.calls() == [] and not place.folder.exists()


def test_optuna_chooses_trials_and_goes_on(place):
    pytest.importorskip("optuna")
    space = (*RANGE, "optimizer=sgd,adamw")
    first = place.run(space, sampler="optuna", trials=12)
    assert len(place.calls()) == 13
    second = place.run(space, sampler="optuna", trials=14)
    assert second.trials[:12] == first.trials
    rates = [float(trial.values["learning_rate"]) for trial in second.trials]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    # Low rates are better here: what it tries after its random start is lower.
    assert sorted(rates[10:])[1] < sorted(rates[:10])[5]


@pytest.mark.parametrize(
    "how, message",
    [
        ({"sweep": ["learning_rate=1e-3,many"]}, "Trial --learning_rate=many: .*flag --learning_r"),
        ({"sweep": ["batch_size=8,0"]}, "Trial --batch_size=0: batch_size must"),
        ({"sweep": ["transforms=hflip|hlfip"]}, "Trial --transforms=hlfip: Unknown transform"),
        ({"sweep": RANGE}, "is a range, of which a grid has no values"),
        ({"report_split": "val"}, "'val' is what chooses among the trials"),
        ({"report_split": "validation_part"}, "is what chooses among the trials"),
        ({"report_split": "train"}, "'train' is what the trials train on"),
        ({"training": {"paper_protocol": True}}, "Leave --paper_protocol out"),
        ({"training": {"validation_split": "dev"}}, "--validation_fraction"),
        (
            {"training": {"validation_fraction": 0.2}, "sweep": ["seed=0,1"]},
            "seed also draws the held-out images.*--split_seed",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_trial(place, how, message):
    with pytest.raises(ValueError, match=message):
        place.run(**how)
    assert place.calls() == [] and not place.folder.exists()


@pytest.mark.parametrize(
    "how, message",
    [
        ({"sweep": ["learning_rate=1e-3,1e-4"]}, "differs in space"),
        ({"training": {"transforms": ""}}, "differs in transforms"),
        ({"report_split": "none"}, "differs in report_split"),
    ],
)
def test_the_folder_of_another_sweep_is_left_alone(place, how, message):
    place.run()
    place.calls()
    with pytest.raises(ValueError, match=f"holds another sweep, which {message}"):
        place.run(**how)
    assert place.calls() == []


def test_settings_in_another_order_are_another_sweep(place):
    space = ["learning_rate=1e-3,1e-4", "optimizer=sgd,adamw"]
    place.run(space)
    place.calls()
    with pytest.raises(ValueError, match=r"order of what varies \(it began with learning"):
        place.run(space[::-1])
    assert place.calls() == []


def test_the_report_leaves_out_the_images_that_the_trials_left_out(place):
    place.run(training={"skip_bad_images": True})
    assert place.calls() == [*TRAINED, f"{REPORTED} skips"]


def test_two_sweeps_do_not_share_a_folder(place):
    place.run()
    place.calls()
    with lock_run(str(place.folder)):
        with pytest.raises(ValueError, match="trains in .* now. Wait for it, or give .*output_dir"):
            place.run()
    assert place.calls() == []


def test_a_trial_that_is_still_training_is_waited_for(place):
    """What is left of a sweep that was killed with -9."""
    run_dir = place.folder / "trials/trial_001"
    run_dir.mkdir(parents=True)
    with lock_run(str(run_dir)):
        with pytest.raises(ValueError, match="trains in '.*trial_001' now. Wait for it"):
            place.run()
    assert place.calls() == []
    assert place.run().failed == []


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(tiny_settings, tmp_path):
    names = ("data_dir", "scenes_train_images", "scenes_image_size", "image_size", "batch_size")
    flags = [f"--{name}={tiny_settings[name]}" for name in names]
    command = [sys.executable, "tune.py", "--mode=sweep", "--sweep=learning_rate=1e-3,1e-9", *flags]
    command += [f"--output_dir={tmp_path / 'swept'}", "--checkpoint_seconds=0", "--epochs=2"]
    started = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE)
    trials = tmp_path / "swept/trials"
    while not (trials / "trial_001/last/state.npz").exists():
        assert started.poll() is None, started.stderr.read()
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    assert started.wait() == 130
    assert json.loads((trials / "trial_001.json").read_text())["status"] == "started"
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Continuing at epoch" in (trials / "trial_001.log").read_text()
    assert "2 of 2 trials are finished." in done.stdout
    assert "Of this trial alone, once, on the test split" in done.stdout
    assert (tmp_path / "swept/sweep.html").exists()
