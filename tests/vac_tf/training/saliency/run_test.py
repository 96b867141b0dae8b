"""A saliency run on tiny data: its folder, its resume, its selection, and the programs."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags

from flags import dataclass_flags
from tests.vac_tf.counted_images import counting
from tests.vac_tf.event_reader import steps, tags, values
from tests.vac_tf.fixation_files import random_looks, write_json
from tests.vac_tf.tiny_backbones import add_tiny_backbones
from tools.python_imports import REPOSITORY
from vac_tf.configs.saliency import SaliencyConfig, SaliencyEvaluationConfig
from vac_tf.evaluation.saliency import evaluate_saliency
from vac_tf.evaluation.saliency_baselines import CentreBias
from vac_tf.models.saving import load_network
from vac_tf.training.callbacks import StopRequest, TrainingInterrupted
from vac_tf.training.divergence import DivergenceError
from vac_tf.training.saliency import run as saliency_run
from vac_tf.training.saliency.run import build_network, run_saliency

ROOT = REPOSITORY
TINY = {
    "dataset": "salicon",
    "backbone": "tiny",
    "image_size": 32,
    "batch_size": 4,
    "epochs": 2,
    "validation_fraction": 0.3,
    "human_observers": 1,
    "checkpoint_seconds": 0.0,
}


@pytest.fixture(scope="module", autouse=True)
def tiny_backbones():
    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salicon")
    write_json(folder, random_looks(12))
    looks = [(100 + image, worker, points) for image, worker, points in random_looks(4, seed=1)]
    write_json(folder, looks, split="val")
    return str(folder)


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """Folder, config and evaluation of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    more = {"losses": "kld:1,cc:0.5", "tensorboard": True, "tensorboard_images": 3}
    config = SaliencyConfig(run_dir=str(folder), data_dir=data_dir, **TINY, **more)
    return folder, config, run_saliency(config)


def test_the_run_folder(finished):
    folder, config, evaluation = finished
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    columns = {"loss", "kld", "cc", "validation_loss", "validation_loss_kld", "validation_kld"}
    columns |= {"validation_nss", "validation_shuffled_auc", "learning_rate", "seconds"}
    assert columns <= set(rows[0])
    for row in rows:
        total = float(row["kld"]) + 0.5 * float(row["cc"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-4)
    written = json.loads((folder / "saliency_evaluation.json").read_text())
    assert written == evaluation
    assert written["conventions"]["split"] == "val"
    assert written["conventions"]["selected_on"] == "held-out 0.3 of the train split"
    assert written["scores"]["chance"]["nss"]["images"] == 4
    data = json.loads((folder / "saliency_data.json").read_text())
    assert (data["training_images"], data["validation_images"]) == (8, 4)
    output = load_network(str(folder / "network.keras"))(np.zeros((1, 32, 32, 3), "float32"))
    assert output["saliency"].shape == (1, 2, 2, 1)


def test_fewer_images_are_evaluated_with_the_centre_bias_of_all_training_images(
    finished, tmp_path, monkeypatch
):
    folder, _, evaluation = finished
    copy = shutil.copytree(folder, tmp_path / "run")
    fitted = []
    original = CentreBias.__init__
    monkeypatch.setattr(
        CentreBias, "__init__", lambda bias, split: fitted.append(split) or original(bias, split)
    )
    config = SaliencyEvaluationConfig(run_dir=str(copy), human_observers=1, max_images=2)
    few = evaluate_saliency(config)
    assert few["scores"]["model"]["nss"]["images"] == 2
    assert [(split.name, len(split)) for split in fitted] == [("train", 12)]
    assert few["conventions"]["centre_bias_images"] == 12
    assert evaluation["conventions"]["centre_bias_images"] == 12


def test_tensorboard_shows_image_truth_and_prediction(finished):
    train, validation = (finished[0] / "tensorboard" / run for run in ("train", "validation"))
    panels = [f"image, truth, prediction/{number:02d}" for number in (1, 2, 3)]
    assert [tag for tag in tags(validation) if tag.startswith("image,")] == panels
    assert {"loss/loss", "loss/kld", "metrics/kld", "metrics/nss"} <= set(tags(validation))
    assert {"loss/loss", "loss/cc", "within_epoch/kld"} <= set(tags(train))
    for tag in ("loss/kld", "metrics/kld", panels[0]):
        assert steps(validation, tag) == [2, 4]
    assert [values(validation, panels[0])[0][side] for side in (0, 1)] == [b"96", b"32"]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(finished, tmp_path, monkeypatch):
    folder, config, evaluation = finished
    values = {**vars(config), "run_dir": str(tmp_path / "cut")}
    steps = []
    original = StopRequest.raise_if_any

    def stop_after_three_steps(request):
        steps.append(1)
        if len(steps) == 3:
            request.noted = signal.SIGTERM
        original(request)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "raise_if_any", stop_after_three_steps)
        with pytest.raises(TrainingInterrupted, match="SIGTERM"):
            run_saliency(SaliencyConfig(**values))
    assert not (tmp_path / "cut" / "saliency_evaluation.json").exists()
    assert run_saliency(SaliencyConfig(**values)) == evaluation
    with np.load(folder / "last" / "state.npz") as whole:
        with np.load(tmp_path / "cut" / "last" / "state.npz") as cut:
            names = [name for name in whole.files if name != "progress"]
            assert len(names) > 20
            for name in names:
                np.testing.assert_array_equal(whole[name], cut[name])


def test_images_that_selected_are_recognised_in_a_split_of_another_name(finished, caplog):
    """The held-out part of train selected; here it comes as another split, from other files."""
    folder, config, _ = finished
    data_dir = Path(config.data_dir)
    content = json.loads((data_dir / "fixations_train.json").read_text())
    for image in content["images"]:
        name = f"again_{image['file_name']}"
        shutil.copy(data_dir / "images" / image["file_name"], data_dir / "images" / name)
        image["file_name"] = name
    (data_dir / "fixations_again.json").write_text(json.dumps(content))
    written = (folder / "saliency_evaluation.json").read_bytes()
    settings = SaliencyEvaluationConfig(run_dir=str(folder), split="again", human_observers=1)
    conventions = evaluate_saliency(settings)["conventions"]
    (folder / "saliency_evaluation.json").write_bytes(written)
    assert conventions["selected_on_this_split"]
    assert "selected on 4 of these 12 images" in caplog.text
    assert "trained on 8 of these 12 images" in caplog.text
    assert "The centre bias is fitted on 12 of these 12 images" in caplog.text


def test_validation_shows_every_image_to_the_network_once(data_dir, tmp_path, monkeypatch):
    counters = []

    def build_counted(config):
        network, counter = counting(build_network(config))
        counters.append(counter)
        return network

    monkeypatch.setattr(saliency_run, "build_network", build_counted)
    monkeypatch.setattr(saliency_run, "evaluate_saliency_run", lambda *_, **__: {})
    run_saliency(SaliencyConfig(run_dir=str(tmp_path / "run"), data_dir=data_dir, **TINY))
    assert [each.count for each in counters] == [4 * TINY["epochs"]]


def test_averaged_weights_whose_maps_are_not_finite_are_a_divergence(
    data_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(saliency_run, "predict_logits", lambda *_: np.full((4, 2, 2), np.nan))
    settings = {**TINY, "epochs": 1, "ema_decay": 0.5}
    config = SaliencyConfig(run_dir=str(tmp_path / "run"), data_dir=data_dir, **settings)
    with pytest.raises(DivergenceError, match="validation_logits is not finite after epoch 1"):
        run_saliency(config)
    assert not list((tmp_path / "run").glob("*.keras"))


def test_a_folder_of_another_config_is_refused(finished):
    config = finished[1]
    with pytest.raises(ValueError, match="losses: 'kld:1,cc:0.5' there, 'kld' now"):
        run_saliency(SaliencyConfig(**{**vars(config), "losses": "kld"}))


def test_the_named_metric_selects_and_other_data_are_refused(tmp_path):
    write_json(tmp_path, random_looks(6))
    looks = [(100 + image, worker, points) for image, worker, points in random_looks(3, seed=1)]
    write_json(tmp_path, looks, split="val")
    config = SaliencyConfig(
        run_dir=str(tmp_path / "run"),
        data_dir=str(tmp_path),
        **{**TINY, "epochs": 1},
        best_metric="nss",
        ema_decay=0.5,
        centre_prior=True,
        validation_split="val",
    )
    evaluation = run_saliency(config)
    assert evaluation["conventions"]["selected_on_this_split"]
    with np.load(tmp_path / "run" / "last" / "state.npz") as state:
        progress = json.loads(state["progress"].tobytes())
    row = progress["history"][0]
    assert progress["best"]["raw"] == pytest.approx(row["validation_nss"])
    assert progress["best"]["ema"] == pytest.approx(row["validation_nss_ema"])
    assert (tmp_path / "run" / "network_ema.keras").exists()
    selection = json.loads((tmp_path / "run" / "selection.json").read_text())
    assert selection["validation_nss"] == max(progress["best"].values())
    write_json(tmp_path, random_looks(6, seed=9))
    with pytest.raises(ValueError, match="The fixations are not what they were"):
        run_saliency(config)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"losses": "mse"}, "unknown loss 'mse'"),
        ({"best_metric": "mAP"}, "Unknown best_metric"),
        ({"dataset": "salicon"}, "needs data_dir"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"target_size": -1}, "target_size"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"run_dir": ""}, "run_dir is needed"),
    ],
)
def test_unusable_settings(tmp_path, values, match):
    with pytest.raises(ValueError, match=match):
        run_saliency(SaliencyConfig(**{"run_dir": str(tmp_path / "run"), **values}))
    assert not (tmp_path / "run").exists()


def test_flags_are_the_fields():
    for config_class, arguments in (
        (SaliencyConfig, ["--losses=cc", "--image_size=64", "--nocentre_prior"]),
        (SaliencyEvaluationConfig, ["--run_dir=somewhere", "--split=test"]),
    ):
        values = absl_flags.FlagValues()
        dataclass_flags.define(config_class, values)
        values(["program", *arguments])
        config = dataclass_flags.from_flags(config_class, values)
        for argument in arguments:
            name, _, value = argument.removeprefix("--").partition("=")
            if value:
                assert str(getattr(config, name)) == value


def test_the_programs(finished, data_dir):
    folder, _, evaluation = finished

    def start(program, *arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / program), *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    done = start("evaluate_saliency.py", f"--run_dir={folder}", "--human_observers=1")
    assert done.returncode == 0, done.stderr
    assert "one observer out" in done.stdout and "4 images of split 'val'" in done.stdout
    assert json.loads((folder / "saliency_evaluation.json").read_text()) == evaluation
    wrong = start("train_saliency.py", "--dataset=salicon", f"--run_dir={folder}")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith("dataset 'salicon' needs data_dir")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"data_dir": "/nowhere"}, "/nowhere"),
        ({"backbone": "resnet51"}, "Unknown backbone 'resnet51'"),
        ({"backbone_weights": "/nowhere.keras"}, "'/nowhere.keras' not found"),
        ({"validation_split": "test"}, "No fixations_test"),
        ({"evaluation_split": "test"}, "No fixations_test.*with --evaluation_split"),
        ({"best_metric": "shuffled_auc", "validation_fraction": 0.01}, "on 1 validation image"),
        ({"best_metric": "auc_judd", "target_size": 1}, r"\(4\).*every cell of their 1x1 grid"),
        ({"drop_remainder": True, "batch_size": 9}, "8 training images do not fill one batch of 9"),
    ],
)
def test_what_is_refused_leaves_no_folder(data_dir, tmp_path, values, match):
    values = {**TINY, "run_dir": str(tmp_path / "run"), "data_dir": data_dir, **values}
    with pytest.raises(ValueError, match=match):
        run_saliency(SaliencyConfig(**values))
    assert not (tmp_path / "run").exists()
