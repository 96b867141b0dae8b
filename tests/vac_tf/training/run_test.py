"""Training runs: what their folder holds, who wins, when they stop, and what they refuse."""

import csv
import dataclasses
import fcntl
import json
import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.vac_tf.counted_images import counting
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.inputs.prediction import predict
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training import kept_networks
from vac_tf.training import run as run_module
from vac_tf.training.callbacks import TrainingInterrupted
from vac_tf.training.divergence import DivergenceError
from vac_tf.training.method_check import check_method
from vac_tf.training.run import run, start_classifier
from vac_tf.training.run_data import read_run_data
from vac_tf.training.validation import validate


@pytest.fixture
def config(tiny_settings, tiny_backbone, tmp_path):
    return TrainConfig(run_dir=str(tmp_path / "run"), backbone=tiny_backbone, **tiny_settings)


def with_two_steps(config, **changes):
    """One epoch of two steps, without averages."""
    changes = {"max_images": 16, "epochs": 1, "ema_decay": 0.0} | changes
    return dataclasses.replace(config, **changes)


def log_rows(config):
    with open(os.path.join(config.run_dir, "log.csv"), newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_writes_its_folder(finished_run):
    folder = RunFolder(finished_run.run_dir)
    assert set(os.listdir(folder.path)) == {
        "config.json",
        "labels.json",
        "last",
        "lock",
        "log.csv",
        "network.keras",
        "network_ema.keras",
        "network_raw.keras",
        "selection.json",
    }
    assert sorted(os.listdir(folder.file("last"))) == [*("earlier_1.npz", "good.npz", "state.npz")]
    assert folder.read_config() == finished_run
    labels = folder.read_json("labels.json")
    splits = read_run_splits(finished_run)
    assert tuple(labels["label_names"]) == splits.train.label_names
    np.testing.assert_allclose(labels["positive_ratio"], splits.train.positive_ratio("ignore"))
    assert labels["selected_on"] == "val split" and labels["skipped_images"] == []


def test_the_log_has_every_term_of_every_epoch(finished_run):
    rows = log_rows(finished_run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["steps"] for row in rows] == ["6", "12"]
    terms = ["loss", "classification_loss", "consistency_loss", "consistency_hflip"]
    for row in rows:
        for name in (*terms, "heatmap_size"):
            assert float(row[name]) > 0 and float(row[f"validation_{name}"]) > 0
        assert 0 < float(row["validation_mAP"]) < 1 and 0 < float(row["validation_mAP_ema"]) < 1
    assert float(rows[0]["learning_rate"]) == pytest.approx(1e-3)  # Half of the cosine.


def test_the_saved_networks_are_the_ones_that_were_scored(finished_run):
    """Neither raw weights under the averages' score, nor the other way round."""
    account = run(finished_run)
    folder = RunFolder(finished_run.run_dir)
    data = read_run_data(finished_run)
    rows = log_rows(finished_run)
    for kind, column in (("raw", "validation_mAP"), ("ema", "validation_mAP_ema")):
        network = load_network(folder.file(f"network_{kind}.keras"))
        labels, logits = predict(network, data.validation)
        found = evaluate_logits(labels, logits, data.label_names)["label_based"]["mAP"]
        assert account["best"][kind] == max(float(row[column]) for row in rows)
        assert found == pytest.approx(account["best"][kind], abs=1e-4)
    assert account["winner"] == max(account["best"], key=account["best"].get)
    selection = folder.read_json("selection.json")
    assert selection["weights"] == account["winner"]
    assert selection["validation_mAP"] == account["best"][account["winner"]]
    column = {"raw": "validation_mAP", "ema": "validation_mAP_ema"}[account["winner"]]
    chosen = rows[selection["epoch"] - 1]
    assert float(chosen[column]) == pytest.approx(selection["validation_mAP"])
    networks = [
        load_network(folder.file(name)).get_weights()
        for name in ("network.keras", f"network_{account['winner']}.keras")
    ]
    for weight, expected in zip(*networks, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_validation_shows_every_image_to_the_network_once(config):
    counters = []

    def start_counted(*arguments):
        network, counter = counting(start_classifier(*arguments))
        counters.append(counter)
        return network

    config = with_two_steps(config, transforms="")
    run(config, start_counted)
    assert [each.count for each in counters] == [len(read_run_splits(config).validation)]


def test_a_finished_run_does_nothing_more(finished_run, monkeypatch):
    def times():
        files = ("network.keras", "log.csv", "config.json", "last/state.npz")
        return [os.stat(os.path.join(finished_run.run_dir, file)).st_mtime_ns for file in files]

    before = times()
    monkeypatch.setattr(keras.Model, "fit", None)
    account = run(finished_run)
    assert (account["epochs"], account["steps"]) == (2, 12)
    assert times() == before


def test_the_folder_of_another_config_is_refused(finished_run):
    other = dataclasses.replace(finished_run, transforms="", epochs=1)
    with pytest.raises(ValueError, match="belongs to another config:\n  epochs: 2 there, 1 now"):
        run(other)


def test_early_stopping_keeps_the_best_network(config, monkeypatch):
    scores = iter([0.3, 0.5, 0.4, 0.45])
    saved = []

    def scripted(*arguments, **options):
        return {"label_based": {"mAP": next(scores)}}

    def save(network, path):
        saved.append(path)
        open(path, "wb").close()

    monkeypatch.setattr(run_module, "evaluate_logits", scripted)
    monkeypatch.setattr(kept_networks, "save_network", save)
    config = with_two_steps(config, early_stopping_epochs=2, epochs=9)
    account = run(config)
    assert account["epochs"] == 4 and account["best"] == {"raw": 0.5}
    assert [os.path.basename(path) for path in saved] == ["network.keras"] * 2
    assert len(log_rows(config)) == 4


def test_ctrl_c_during_validation_ends_after_the_epoch(config, monkeypatch):
    def validate_and_interrupt(*given):
        signal.raise_signal(signal.SIGINT)
        return validate(*given)

    config = with_two_steps(config, epochs=2)
    before = signal.getsignal(signal.SIGINT)  # Ignored in a job that a shell put aside.
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "validate", validate_and_interrupt)
        with pytest.raises(TrainingInterrupted, match="Interrupted by SIGINT") as error:
            run(config)
    assert error.value.exit_code == 130 and len(log_rows(config)) == 1
    assert run(config)["steps"] == 4 and len(log_rows(config)) == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_runs_save_a_float32_network(config, precision):
    config = with_two_steps(config, precision=precision, optimizer="sgd", weight_decay=1e-4)
    account = run(config)
    assert account["steps"] == 2 and account["winner"] == "raw"
    network = load_network(RunFolder(config.run_dir).network_file)
    assert {layer.dtype_policy.name for layer in network._flatten_layers()} == {"float32"}


def test_every_transform_augmentation_and_the_grid_run(config):
    star = with_two_steps(
        config,
        transforms="hflip,rotate:1,translate:16:0,scale:48",
        consistency_weight="hflip:1,rotate:0.5,translate:0,scale:2",
        augment="hflip,rotate:2",
        augment_mode="union",
        validation_fraction=0.25,
        cache="memory",
    )
    # 12 of the 16 images are left to train on, in three versions.
    account = run(star)
    assert account["steps"] == 5 and account["selected_on"] == "held-out 0.25 of the train split"
    (row,) = log_rows(star)
    expected = 1 * float(row["consistency_hflip"]) + 0.5 * float(row["consistency_rotate_1"])
    expected += 2 * float(row["consistency_scale_48"])
    assert float(row["consistency_loss"]) == pytest.approx(expected, rel=1e-4)
    grid = with_two_steps(
        config,
        run_dir=config.run_dir + "_grid",
        transforms="hflip,scale:16",
        pairs="grid",
        paper_protocol=True,
        loss="sigmoid_cross_entropy",
        pooling="max",
    )
    assert run(grid)["selected_on"] == "test split (paper protocol)"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"transforms": "hlfip"}, "Unknown transform 'hlfip'"),
        ({"augment": "flip"}, "Unknown transform 'flip'"),
        ({"consistency_weight": "scale:1"}, "the transforms are"),
        ({"backbone": "resnet51"}, "Unknown backbone 'resnet51'"),
        ({"pairs": "grid"}, "exactly one flip and one scaling"),
        ({"transforms": "translate:8:0"}, "multiples of the backbone's stride, 16"),
        ({"transforms": "translate:32:0"}, "moves all of a 2x2 heatmap"),
        ({"augment": "scale:16"}, "batches of several image sizes"),
        ({"run_dir": ""}, "run_dir is needed"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_data_is_read(config, changes, message):
    config = dataclasses.replace(config, dataset="coco", data_dir="/nowhere", **changes)
    with pytest.raises(ValueError, match=message):
        run(config)
    assert not os.path.exists(config.run_dir or "config.json")


def test_shifts_of_logits_need_no_alignment(config):
    check_method(
        dataclasses.replace(config, transforms="translate:5:0", consistency_level="logits")
    )


def test_a_file_in_place_of_the_run_folder_is_refused(config, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ValueError, match="cannot be written"):
        run(with_two_steps(config))


def test_missing_data_is_refused_without_a_run_folder(config):
    config = dataclasses.replace(config, dataset="coco", data_dir="/nowhere")
    with pytest.raises(DatasetError, match="/nowhere"):
        run(config)
    assert not os.path.exists(config.run_dir)


def selecting_data(labels):
    """What of `RunData` scores logits."""
    return SimpleNamespace(validation_labels=labels, label_names=("cat",), label_groups=())


def test_networks_are_selected_by_the_order_of_their_logits(config):
    data = selecting_data(np.float32([[0], [1], [0]]))
    logits = np.float32([[18], [20], [-200]])
    evaluation = run_module._evaluate(config, data, logits, "here")
    assert evaluation["label_based"]["mAP"] == 1.0


def test_config_is_json(finished_run):
    with open(os.path.join(finished_run.run_dir, "config.json")) as stream:
        assert json.load(stream) == dataclasses.asdict(finished_run)


def test_a_folder_in_which_another_process_trains_is_refused(config):
    os.makedirs(config.run_dir)
    with open(os.path.join(config.run_dir, "lock"), "w") as stream:
        stream.write("process 123 on elsewhere")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="process 123 on elsewhere trains in"):
            run(with_two_steps(config))
    assert os.listdir(config.run_dir) == ["lock"]


def test_predictions_that_are_not_finite_are_a_divergence(config):
    data, scores = selecting_data(np.ones((2, 1))), np.full((2, 1), np.nan)
    with pytest.raises(DivergenceError, match="validation_scores is not finite after epoch 1"):
        run_module._evaluate(config, data, scores, "after epoch 1")
