"""Evaluation of a run: what it writes, how it measures, and what it refuses."""

import dataclasses
import json
import logging
import os
import shutil

import keras
import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.evaluation import classification as evaluation_module
from vac_tf.evaluation.classification import evaluate
from vac_tf.evaluation.heatmap_consistency import heatmap_strides, table2_transforms
from vac_tf.inputs.prediction import predict
from vac_tf.metrics.inconsistency import mean_squared_map_difference
from vac_tf.metrics.multilabel import evaluate_multilabel
from vac_tf.models import build_classifier
from vac_tf.models.cam_head import CAMHead
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run_data import read_run_data

KINDS = ("hflip", "scale", "rotate", "translate")


@pytest.fixture
def run_dir(finished_run, tmp_path):
    """A copy of a finished run, to write into."""
    return shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))


@pytest.fixture(scope="module")
def evaluation(finished_run, tmp_path_factory):
    run_dir = shutil.copytree(
        finished_run.run_dir, str(tmp_path_factory.mktemp("evaluated") / "run")
    )
    result = evaluate(EvaluationConfig(run_dir=run_dir, batch_size=5))
    with open(os.path.join(run_dir, "evaluation.json")) as stream:
        assert json.load(stream) == result
    return result


@pytest.fixture(scope="module")
def whole_test_split(finished_run):
    """(network, images, labels) of the test split, all in one batch."""
    config = dataclasses.replace(finished_run, validation_split="test", batch_size=16)
    ((images, labels),) = read_run_data(config).validation
    return load_network(RunFolder(finished_run.run_dir).network_file), images, labels


def test_evaluation_has_every_group(evaluation):
    groups = {"label_based", "top3", "top3_thresholded", "example_based", "per_label"}
    assert groups | {"inconsistency", "conventions"} <= set(evaluation)
    assert 0 < evaluation["label_based"]["mAP"] < 1
    assert set(evaluation["inconsistency"]) == set(KINDS)
    for kind in KINDS:
        assert evaluation["inconsistency"][kind]["raw"] > 0
        assert evaluation["inconsistency"][kind]["relative"] > 0
    expected = {
        "dataset": "scenes",
        "split": "test",
        "selected_on": "val split",
        "selected_on_this_split": False,
        "skipped_images": 0,
        "inconsistency": {
            "hflip": "hflip",
            "scale": "scale:16",
            "rotate": "rotate:1",
            "translate": "translate:16:0",
        },
    }
    assert expected.items() <= evaluation["conventions"].items()
    assert evaluation["conventions"]["selected_weights"] in ("raw", "ema")
    assert evaluation["conventions"]["selected_epoch"] in (1, 2)


def test_metrics_are_those_of_the_networks_probabilities(
    evaluation, whole_test_split, finished_run
):
    network, images, labels = whole_test_split
    found_labels, logits = predict(network, [(images[:7], labels[:7]), (images[7:], labels[7:])])
    split = read_run_split(finished_run, "test")
    np.testing.assert_array_equal(found_labels, split.labels)
    np.testing.assert_allclose(logits, network(images)["logits"], rtol=1e-4, atol=1e-5)
    scores = 1 / (1 + np.exp(-np.float64(logits)))
    expected = evaluate_multilabel(split.labels, scores, split.label_names)
    assert evaluation["label_based"] == pytest.approx(expected["label_based"], rel=1e-5)


def test_inconsistency_is_equation_5_over_the_whole_split(evaluation, whole_test_split):
    network, images, _ = whole_test_split

    def heatmaps(views):
        return network(views)["heatmaps"].numpy()

    maps = heatmaps(images)
    shifted = np.pad(images[:, :-16], ((0, 0), (16, 0), (0, 0), (0, 0)))
    second_row = np.arange(2)[:, None] * np.ones((2, 2)) > 0
    small = keras.ops.image.resize(images, (16, 16), antialias=True)
    pairs = {
        "hflip": (maps[:, :, ::-1], heatmaps(images[:, :, ::-1]), None),
        "rotate": (np.rot90(maps, axes=(1, 2)), heatmaps(np.rot90(images, axes=(1, 2))), None),
        "scale": (maps, heatmaps(small), None),
        "translate": (np.roll(maps, 1, axis=1), heatmaps(shifted), second_row),
    }
    variance = maps.astype(np.float64).var(axis=(1, 2)).mean()
    for kind, (first, second, mask) in pairs.items():
        raw = mean_squared_map_difference(first, second, mask).mean()
        found = evaluation["inconsistency"][kind]
        assert found["raw"] == pytest.approx(raw, rel=1e-4)
        assert found["relative"] == pytest.approx(raw / variance, rel=1e-4)


def test_a_pointwise_network_is_perfectly_consistent(tiny_settings, tmp_path):
    config = TrainConfig(run_dir=str(tmp_path), **tiny_settings)
    split = read_run_split(config, "test")
    images = keras.Input((None, None, 3), name="images")
    head = CAMHead(len(split.label_names), name="cam_head")
    network = keras.Model(images, head(keras.layers.AveragePooling2D(16)(images)))
    # Whole numbers and a power of two as divisor: exact in float32.
    head.kernel.assign(np.random.default_rng(0).integers(-9, 10, head.kernel.shape))
    folder = RunFolder(str(tmp_path))
    folder.claim(config)
    folder.write_json("labels.json", {"label_names": list(split.label_names)})
    selection = {"weights": "raw", "epoch": 1, "selected_on": "nothing"}
    folder.write_json("selection.json", selection)
    network.save(folder.network_file)
    found = evaluate(EvaluationConfig(run_dir=str(tmp_path)))["inconsistency"]
    for kind in ("hflip", "rotate", "translate"):
        assert found[kind] == {"raw": 0.0, "relative": 0.0}
    assert found["scale"]["raw"] > 0


def test_the_split_that_selected_is_marked(run_dir, caplog):
    with caplog.at_level(logging.WARNING):
        result = evaluate(EvaluationConfig(run_dir=run_dir, split="val", inconsistency=False))
    assert result["conventions"]["selected_on_this_split"]
    assert "selected on 8 of these 8 images (val)" in caplog.text
    assert "inconsistency" not in result


def test_saturated_probabilities_are_ranked_by_their_logits(run_dir, monkeypatch):
    def certain(network, batches, *rest):
        labels = np.concatenate([labels.numpy() for _, labels in batches])
        return (18 + 2 * labels).astype(np.float32), {}

    monkeypatch.setattr(evaluation_module, "predict_and_compare", certain)
    result = evaluate(EvaluationConfig(run_dir=run_dir, inconsistency=False))
    assert result["label_based"]["mAP"] == 1.0
    assert result["label_based"]["P-O"] < 1.0  # Decisions are those of the probabilities.


def test_images_that_selected_are_recognised_in_another_folder(
    run_dir, tmp_path, monkeypatch, caplog
):
    read = evaluation_module.read_named_split

    def read_copies(config, name):
        split = read(config, "val")
        copies = [
            shutil.copy(path, tmp_path / f"other_{index}.png")
            for index, path in enumerate(split.image_paths)
        ]
        return dataclasses.replace(split, name=name, image_paths=tuple(map(str, copies)))

    monkeypatch.setattr(evaluation_module, "read_named_split", read_copies)
    config = EvaluationConfig(run_dir=run_dir, split="test", inconsistency=False)
    conventions = evaluate(config)["conventions"]
    assert conventions["selected_on_this_split"]
    assert "selected on 8 of these 8 images" in caplog.text


def test_images_of_the_training_are_counted(run_dir, caplog):
    conventions = evaluate(
        EvaluationConfig(run_dir=run_dir, split="train", inconsistency=False, max_images=3)
    )["conventions"]
    assert conventions["images_trained_on"] == 3 and conventions["images_selected_on"] == 0
    assert "trained on 3 of these 3 images" in caplog.text
    assert conventions["shared_groups"] == ""


def test_conventions_can_be_chosen(run_dir):
    config = EvaluationConfig(
        run_dir=run_dir,
        average_precision="voc07",
        unknown_labels="release",
        threshold=0.25,
        inconsistency=False,
        max_images=9,
    )
    conventions = evaluate(config)["conventions"]
    assert "voc07" in str(conventions) and "release" in str(conventions)
    assert 0.25 in conventions.values()


@pytest.mark.parametrize(
    "backbone, size, specs",
    [
        ("mobilenetv2", 224, ["scale:192", "translate:32:0"]),
        ("mobilenetv2", 288, ["scale:256", "translate:32:0"]),
        ("mobilenetv2", 96, ["scale:64", "translate:32:0"]),
        ("mobilenetv2", 32, []),
        ("small", 96, ["scale:80", "translate:16:0"]),
        ("small", 40, ["scale:32", "translate:16:0"]),
    ],
)
def test_sizes_of_table_2(networks, backbone, size, specs):
    network = networks[backbone]
    transforms = table2_transforms(network, size, "bilinear", heatmap_strides(network))
    found = [transforms[kind].spec for kind in ("scale", "translate") if kind in transforms]
    assert found == specs
    assert {"hflip", "rotate"} <= set(transforms)


@pytest.mark.slow
def test_sizes_of_a_backbone_with_fewer_cells_than_its_stride_says():
    network = build_classifier("inceptionv3", 2)
    for size, kinds in ((96, set()), (160, {"scale", "translate"})):
        transforms = table2_transforms(network, size, "bilinear", heatmap_strides(network))
        assert set(transforms) == {"hflip", "rotate"} | kinds


def test_a_network_of_one_image_size_is_measured_at_no_other(tmp_path):
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 8, strides=8)(keras.layers.Rescaling(1 / 255)(images))
    keras.Model(images, features).save(tmp_path / "own.keras")
    network = build_classifier(f"keras:{tmp_path}/own.keras", 2)
    transforms = table2_transforms(network, 32, "bilinear", heatmap_strides(network))
    assert set(transforms) == {"hflip", "rotate", "translate"}


@pytest.fixture(scope="module")
def networks():
    return {name: build_classifier(name, 2) for name in ("mobilenetv2", "small")}


def test_missing_runs_and_parts_of_runs_are_named(run_dir, tmp_path):
    with pytest.raises(ValueError, match="run_dir is needed"):
        EvaluationConfig()
    with pytest.raises(ValueError, match=r"No config\.json in .*absent"):
        evaluate(EvaluationConfig(run_dir=str(tmp_path / "absent")))
    os.remove(os.path.join(run_dir, "network.keras"))
    with pytest.raises(ValueError, match=r"No network at .*network\.keras"):
        evaluate(EvaluationConfig(run_dir=run_dir))


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"threshold_objective": "precision:0.9"}, {"tune_thresholds": True}),
        ({"force_thresholds": True}, {"tune_thresholds": True}),
        (
            {"calibrate": "platt", "threshold_objective": "precision:0.9"},
            {"tune_thresholds": True},
        ),
        ({"threshold_folds": 3}, {"calibrate": "platt"}),
        ({"threshold_shrinkage": 0.0}, {"calibrate": "temperature"}),
        ({"report": False, "compare_with": "other"}, {"report": True}),
        ({"report": False, "report_labels": "cat"}, {"report": True}),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(settings, needed):
    name = list(settings)[-1]
    with pytest.raises(ValueError, match=rf"{name} .* does nothing without .*{list(needed)[0]}"):
        EvaluationConfig(run_dir="run", **settings)
    EvaluationConfig(run_dir="run", **settings | needed)


def test_unknown_split_is_refused(run_dir):
    with pytest.raises(DatasetError, match="Unknown split 'tset'"):
        evaluate(EvaluationConfig(run_dir=run_dir, split="tset"))


def test_other_labels_than_the_runs_are_refused(run_dir):
    folder = RunFolder(run_dir)
    labels = folder.read_json("labels.json")
    first = labels["label_names"][0]
    labels["label_names"][0] = "unicorn"
    folder.write_json("labels.json", labels)
    with pytest.raises(ValueError, match=rf"Missing here: \['unicorn'\].*\['{first}'\]"):
        evaluate(EvaluationConfig(run_dir=run_dir))
    assert not os.path.exists(folder.file("evaluation.json"))


def test_bad_images_are_named_or_counted(finished_run, run_dir, tmp_path):
    data_dir = shutil.copytree(finished_run.data_dir, str(tmp_path / "data"))
    config = EvaluationConfig(run_dir=run_dir, data_dir=data_dir, inconsistency=False)
    moved = dataclasses.replace(finished_run, data_dir=data_dir)
    path = read_run_split(moved, "test").image_paths[3]
    with open(path, "wb") as stream:
        stream.write(b"no image")
    with pytest.raises(DatasetError, match=f"{path} cannot be used: not a JPEG"):
        evaluate(config)
    result = evaluate(dataclasses.replace(config, skip_bad_images=True))
    assert result["conventions"]["skipped_images"] == 1
