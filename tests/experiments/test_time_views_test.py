"""The program that measures views: which predictor tells errors, and the whole on a tiny run."""

import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.test_time_views import compare_predictors, measure
from export.building.gate import images
from tools.python_imports import REPOSITORY
from vac_tf.datasets import Split
from vac_tf.evaluation import heatmap_consistency


def decisions(images=60, labels=4):
    generator = np.random.default_rng(0)
    return generator.random((images, labels)) < 0.3, np.ones((images, labels), bool), generator


@pytest.mark.parametrize("within_labels", [True, False])
def test_a_predictor_that_knows_the_errors_beats_one_that_says_nothing(within_labels):
    is_wrong, is_known, generator = decisions()
    predictors = {"knows": is_wrong * 1.0, "guesses": generator.random(is_wrong.shape)}
    found = compare_predictors(is_wrong, is_known, predictors, 50, within_labels)
    assert found["knows"] == (1.0, (1.0, 1.0))
    value, (low, high) = found["guesses"]
    assert low < value < high and low < 0.5 < high
    difference, (low, high) = found["difference"]
    assert difference == pytest.approx(1.0 - value) and 0.2 < low < difference < high


def test_unknown_labels_do_not_count():
    is_wrong, is_known, generator = decisions()
    predictors = {name: generator.random(is_wrong.shape) for name in ("one", "other")}
    expected = compare_predictors(is_wrong, is_known, predictors, 5, True)
    is_known[:, 3] = False
    found = compare_predictors(is_wrong, is_known, predictors, 5, True)
    assert found != expected
    predictors = {name: values[:, :3] for name, values in predictors.items()}
    assert found == compare_predictors(is_wrong[:, :3], is_known[:, :3], predictors, 5, True)


def test_images_of_one_person_are_no_further_evidence():
    is_wrong, is_known, generator = decisions()
    predictors = {name: generator.random(is_wrong.shape) for name in ("one", "other")}
    expected = compare_predictors(is_wrong, is_known, predictors, 5, True)
    thrice = [np.repeat(values, 3, axis=0) for values in (is_wrong, is_known)]
    predictors = {name: np.repeat(values, 3, axis=0) for name, values in predictors.items()}
    units = np.repeat(np.arange(len(is_wrong)), 3)
    found = compare_predictors(*thrice, predictors, 5, True, units=units)
    for name, (value, interval) in expected.items():
        assert found[name][0] == pytest.approx(value)
        assert found[name][1] == pytest.approx(interval)


def test_what_tells_labels_apart_only_says_nothing_within_them():
    generator = np.random.default_rng(0)
    rates = np.array([0.05, 0.9])
    is_wrong = generator.random((400, 2)) < rates
    predictors = {"rate": np.broadcast_to(rates, (400, 2)), "noise": generator.random((400, 2))}
    everything = np.ones((400, 2), bool)
    over_all = compare_predictors(is_wrong, everything, predictors, 5, False)["rate"][0]
    within = compare_predictors(is_wrong, everything, predictors, 5, True)["rate"][0]
    assert over_all > 0.85 and within == 0.5


def test_without_errors_nothing_is_told():
    right = np.zeros((5, 2), bool)
    predictors = {"one": np.ones((5, 2)), "other": np.zeros((5, 2))}
    found = compare_predictors(right, ~right, predictors, 5, False)
    assert found == dict.fromkeys(("one", "other", "difference"), (None, None))


class SlowToStart:
    """An opened file of one label whose first call takes longer; it writes down who was called."""

    description = SimpleNamespace(preprocessing=None)

    def __init__(self, name, calls):
        self._name, self._calls = name, calls

    def run(self, images):
        if self._name not in self._calls:
            time.sleep(0.5)
        self._calls.append(self._name)
        outputs = {name: np.zeros((len(images), 1)) for name in ("logits", "probabilities")}
        return outputs | {"heatmaps": np.zeros((len(images), 2, 2, 1))}


def test_files_take_turns_and_no_first_call_counts(monkeypatch):
    monkeypatch.setattr(images, "scorer_images", lambda rows, _: np.zeros((len(rows), 2, 2, 3)))
    monkeypatch.setattr(heatmap_consistency, "heatmap_strides", lambda _: [1])
    split = Split(
        [f"{number}.jpg" for number in range(70)], np.zeros((70, 1), np.float32), ["label"]
    )
    calls, names = [], ("", "hflip", "scale:8")
    sessions = {name: SlowToStart(name, calls) for name in names}
    found = measure(sessions, split, None, {})
    assert [each.tta for each in found] == [*names]
    assert all(len(each.logits) == 70 and each.seconds < 0.4 for each in found)
    batches = [tuple(calls[first : first + 3]) for first in range(3, len(calls), 3)]
    assert all(sorted(batch) == sorted(names) for batch in batches)
    assert {batch[0] for batch in batches} == set(names)


def run_program(*arguments):
    command = [sys.executable, "-m", "experiments.test_time_views", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_run_is_measured(finished_run):
    done = run_program(
        *(f"--run_dir={finished_run.run_dir}", "--split=test", "--max_images=12"),
        *("--tta=hflip", "--tta=hflip,scale:64", "--bootstrap_samples=5"),
    )
    assert done.returncode == 0, done.stderr
    first, names, *rows = done.stdout.splitlines()
    assert first.startswith("12 images of test") and names.split()[:3] == ["views", "mAP", "mA"]
    assert names.split()[-1] == "images/s" and "hflip" in names
    assert rows[0].startswith("the image alone") and rows[1].startswith("hflip ")
    assert rows[2].startswith("hflip,scale:64 ")
    # Averaged with its mirror image, a heatmap is that of the mirror image.
    column = names.split().index("hflip")
    alone, mirrored = (
        float(row.removeprefix("the image alone").split()[c])
        for row, c in ((rows[0], column - 1), (rows[1], column))
    )
    assert alone > 0.0001 and mirrored < 0.0001
    assert done.stdout.count("decisions are wrong. AUC of") == 2
    assert done.stdout.count("within labels: 1 - stability") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--tta=splice:2"], "Heatmaps of splice:2 cannot be brought back"),
        (["--tta=scale:1"], "scale:1 is smaller than a cell"),
        (["--split=tost"], "tost"),
    ],
)
def test_bad_input_is_one_message(finished_run, arguments, message):
    done = run_program(f"--run_dir={finished_run.run_dir}", *arguments)
    assert done.returncode == 3
    assert message in done.stderr and "Traceback" not in done.stderr
