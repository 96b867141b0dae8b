"""A run with a teacher: what fits, what is recorded, and what is refused."""

import dataclasses
import json
import logging
import shutil

import keras
import numpy as np
import pytest

import vac_tf
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.scenes.shapes import SHAPE_RATIOS
from vac_tf.models import build_classifier
from vac_tf.models.saving import save_network
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.teacher import read_teacher
from vac_tf.training.check_data import check_data
from vac_tf.training.distillation.start import check_distillation, start_distillation
from vac_tf.training.run import run

NAMES = ("cat", "dog", "car")


def write_run(folder, backbone, names=NAMES, groups=(), **settings):
    """A run folder as training leaves it, of a network that has learnt nothing."""
    keras.utils.set_random_seed(1)
    config = TrainConfig(run_dir=str(folder), backbone=backbone, **settings)
    run_folder = RunFolder(config.run_dir)
    run_folder.claim(config)
    labels = {"label_names": list(names)} | ({"label_groups": list(groups)} if groups else {})
    run_folder.write_json("labels.json", labels)
    save_network(build_classifier(backbone, len(names)), run_folder.network_file)
    return str(folder)


@pytest.fixture
def config(tiny_settings, tiny_backbone, tmp_path):
    """A run that is taught by a finer network, of larger images and labels in another order."""
    teacher = write_run(tmp_path / "teacher", "tiny8", tuple(SHAPE_RATIOS)[::-1], image_size=48)
    settings = tiny_settings | {"backbone": tiny_backbone, "transforms": ""}
    return TrainConfig(run_dir=str(tmp_path / "student"), teacher=teacher, **settings)


def test_a_run_is_taught_and_then_needs_no_teacher(config, caplog, capsys, tmp_path):
    caplog.set_level(logging.INFO)
    account = run(config)
    sentence = next(text for text in caplog.messages if text.startswith("Taught by"))
    assert "images of 48 pixels, to which the 32 of this run are resized" in sentence
    assert check_data(config) and sentence in capsys.readouterr().out
    header = (tmp_path / "student" / "log.csv").read_text().splitlines()[0].split(",")
    for term in ("distillation_loss", "distillation_logits", "distillation_heatmaps"):
        assert term in header and f"validation_{term}" in header
    recorded = json.loads((tmp_path / "student" / "teacher.json").read_text())
    assert recorded["teacher"] == config.teacher and len(recorded["sha256"]) == 64
    assert recorded["image_size"] == 48

    assert run(config) == account
    longer = dataclasses.replace(config, epochs=3)
    network_file = tmp_path / "teacher" / "network.keras"
    contents = network_file.read_bytes()
    changed = build_classifier("tiny8", len(recorded["label_names"]))
    save_network(changed, str(network_file))
    with pytest.raises(ValueError, match="is not what it was when.*sha256 of teacher.json differ"):
        run(longer)
    assert not check_data(longer) and "A training would stop" in capsys.readouterr().out
    network_file.write_bytes(contents)
    assert run(longer)["epochs"] == 3
    shutil.rmtree(config.teacher)
    with pytest.raises(ValueError, match="teacher.*cannot be used: No config.json.*until it has"):
        run(dataclasses.replace(config, epochs=4))
    model = vac_tf.load(config.run_dir)
    assert np.isfinite(model.predict(np.zeros((1, 32, 32, 3)))["logits"]).all()


def test_labels_are_matched_by_name_and_others_are_named(config, tiny_backbone, tmp_path):
    config = dataclasses.replace(config, teacher=write_run(tmp_path / "run", tiny_backbone))
    distillation = start_distillation(config, ("car", "cat", "dog"), ())
    assert distillation.columns == (2, 0, 1)
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    theirs = read_teacher(config.teacher).predict(images)
    for name, value in distillation.outputs(images).items():
        np.testing.assert_array_equal(value, np.asarray(theirs[name])[..., [2, 0, 1]])
    reason = "lacks 'bird'; it has, and this run has not, 'cat', 'dog'"
    with pytest.raises(ValueError, match=reason):
        start_distillation(config, ("car", "bird"), ())


def test_a_teacher_of_other_labels_is_refused_before_the_training(
    config, tiny_backbone, tmp_path, capsys
):
    config = dataclasses.replace(config, teacher=write_run(tmp_path / "run", tiny_backbone))
    with pytest.raises(ValueError, match="has other labels: it lacks") as error:
        run(config)
    assert not RunFolder(config.run_dir).has_state()
    assert not check_data(config)
    assert f"A training would stop: {error.value}" in capsys.readouterr().out


def test_logits_of_other_groups_are_refused(config, tiny_backbone, tmp_path):
    groups = [{"name": "animal", "labels": ["dog", "cat"], "at_most_one": True}]
    taught = write_run(tmp_path / "run", tiny_backbone, groups=groups)
    config = dataclasses.replace(config, teacher=taught)
    with pytest.raises(ValueError, match="label groups .*'animal'.*this run none"):
        start_distillation(config, NAMES, ())
    group = read_teacher(taught).label_groups
    assert start_distillation(config, NAMES, group).label_groups == group


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"teacher": ""}, "teacher_temperature is a setting of teacher"),
        ({"model": "dual_stream"}, "teaches a classifier, got model 'dual_stream'"),
        ({"teacher_logits_weight": 0.0, "teacher_heatmaps_weight": 0.0}, "both 0"),
        ({"augment": "scale:64", "transforms": ""}, "heatmaps are resized to one grid"),
        ({"run_dir": "runs/other", "teacher": "runs/other/"}, "--run_dir itself"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, reason):
    config = TrainConfig(run_dir="runs/new", teacher="runs/teacher", teacher_temperature=3.0)
    check_distillation(config)
    with pytest.raises(ValueError, match=reason):
        check_distillation(dataclasses.replace(config, **changes))


def test_what_is_no_teacher_is_refused(tiny_backbone, tmp_path):
    file = tmp_path / "network.keras"
    file.write_bytes(b"")
    (tmp_path / "empty").mkdir()
    unfinished = write_run(tmp_path / "unfinished", tiny_backbone)
    (tmp_path / "unfinished" / "network.keras").unlink()
    for path, reason in (
        (str(tmp_path / "gone"), "No config.json"),
        (str(tmp_path / "empty"), "No config.json"),
        (str(file), "it is a file, and files of"),
        (unfinished, "No network at"),
    ):
        with pytest.raises(ValueError, match=f"teacher '{path}' cannot be used: .*{reason}"):
            read_teacher(path)
