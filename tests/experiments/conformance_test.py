"""What other runtimes and libraries say: the programs run, and whoever is installed agrees."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.conformance import metrics, networks
from experiments.conformance.outputs import Difference
from export.building.triton_repository import write_triton_model
from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY


def table(module, *arguments):
    """The cells of the lines that a program prints, without the head of its table."""
    command = [sys.executable, "-m", f"experiments.conformance.{module}", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()][
        2:
    ]


def test_metrics_are_those_of_other_libraries():
    rows = table("metrics", "--count=5")
    by_scikit_learn = {metric for metric, library, *_ in rows if library == "scikit-learn"}
    assert {"mAP", "mA", "F1-C", "F1-O", "Acc", "F1-mean"} <= by_scikit_learn
    for metric, library, count, difference in rows:
        assert count == "5" and float(difference) <= metrics.LIMITS[library], metric


def test_a_metric_that_is_not_a_number_is_no_difference_of_0(monkeypatch, capsys):
    ours = iter([0.5, float("nan"), 0.5])
    monkeypatch.setattr(metrics, "FLAGS", SimpleNamespace(count=3, seed=0))
    monkeypatch.setattr(metrics, "_ours", lambda *_: {"mAP": next(ours)})
    for library in ("_scikit_learn", "_torchmetrics"):
        monkeypatch.setattr(metrics, library, lambda *_: {("mAP", "TorchMetrics"): 0.5})
    assert metrics.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "| mAP | TorchMetrics | 6 | nan |"


@pytest.mark.parametrize("theirs, code", [(0.5, 0), (0.5 + 1e-9, 1)])
def test_a_metric_that_is_not_the_librarys_is_a_failure(monkeypatch, theirs, code):
    monkeypatch.setattr(metrics, "FLAGS", SimpleNamespace(count=2, seed=0))
    monkeypatch.setattr(metrics, "_ours", lambda *_: {"mAP": 0.5})
    monkeypatch.setattr(metrics, "_scikit_learn", lambda *_: {("mAP", "scikit-learn"): theirs})
    monkeypatch.setattr(metrics, "_torchmetrics", lambda *_: {})
    assert metrics.main([]) == code


def test_a_bundle_is_what_the_reference_evaluator_computes(tmp_path):
    write_channel_mean_model(tmp_path / "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    ours, *others = table("networks", f"--bundle={tmp_path}", f"--images={tmp_path}")
    assert ours[:2] == ["model.onnx", "ONNX Runtime"]
    rows = {name: cells for _, name, *cells in others}
    assert list(rows) == ["reference evaluator", "OpenVINO", "SavedModel in plain TensorFlow"]
    assert rows["SavedModel in plain TensorFlow"][0] == "not run"  # The bundle has none.
    probability, heatmap, decisions = rows["reference evaluator"]
    assert float(probability) < 1e-6 and float(heatmap) < 1e-6 and decisions == "0 differ"


def test_a_runtime_that_computes_something_else_is_a_failure(tmp_path, monkeypatch, capsys):
    write_channel_mean_model(tmp_path / "model.onnx")
    Image.new("RGB", (50, 40), (10, 20, 30)).save(tmp_path / "photo.png")
    settings = {"bundle": str(tmp_path), "images": str(tmp_path), "count": 1}
    monkeypatch.setattr(networks, "FLAGS", SimpleNamespace(most_difference=1e-5, **settings))
    of_a_file = networks._reference

    def slightly_wrong(*arguments):
        outputs = of_a_file(*arguments)
        return {**outputs, "heatmaps": outputs["heatmaps"] * 1.0001}

    monkeypatch.setattr(networks, "_reference", slightly_wrong)
    assert networks.main([]) == 1
    assert "Further away than 1e-05: reference evaluator." in capsys.readouterr().err


def test_a_value_that_is_not_a_number_is_near_to_nothing():
    ours = {"probabilities": np.array([[0.5]]), "heatmaps": np.ones((1, 1, 1, 1))}
    theirs = {**ours, "heatmaps": np.full((1, 1, 1, 1), np.nan)}
    assert not Difference.between(ours, theirs, np.array([0.5])).is_within(1e9)
    assert Difference.between(ours, ours, np.array([0.5])).is_within(0.0)


@pytest.mark.parametrize(
    "bundle, images, message", [("nowhere", ".", "nowhere"), (".", "empty", "holds no JPEG")]
)
def test_what_is_not_there_is_named(tmp_path, bundle, images, message):
    write_channel_mean_model(tmp_path / "model.onnx")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "experiments.conformance.networks"]
    command += [f"--bundle={tmp_path / bundle}", f"--images={tmp_path / images}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0 and message in done.stderr + done.stdout


def test_a_folder_without_a_triton_server_is_named(tmp_path):
    write_channel_mean_model(tmp_path / "model.onnx")
    Image.new("RGB", (9, 7)).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "experiments.conformance.triton", f"--triton={tmp_path}"]
    command += [f"--bundle={tmp_path}", f"--images={tmp_path}", f"--repository={tmp_path}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0 and "install nvidia-pytriton there" in done.stdout + done.stderr


@pytest.mark.skipif("VAC_TRITON" not in os.environ, reason="VAC_TRITON names no installed Triton")
def test_triton_answers_what_the_scorer_computes(tmp_path):
    bundle, model = tmp_path / "mine", tmp_path / "models" / "mine"
    bundle.mkdir()
    model.mkdir(parents=True)
    write_channel_mean_model(bundle / "model.onnx")
    write_triton_model(str(model), str(bundle), "mine")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "experiments.conformance.triton"]
    command += [f"--triton={os.environ['VAC_TRITON']}", f"--repository={model.parent}"]
    command += [f"--bundle={bundle}", f"--images={tmp_path}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 differ") == 2 and "labels differ: 0 of 1" in done.stdout
