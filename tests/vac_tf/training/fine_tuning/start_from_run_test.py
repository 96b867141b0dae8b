"""Starting from a run with other labels: what is carried over, and what is refused."""

import dataclasses
import logging
import shutil

import keras
import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.models import build_classifier
from vac_tf.models.backbones import BACKBONES
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.fine_tuning.start_from_run import check_init_run
from vac_tf.training.run import run, start_classifier

OLD, NEW = ("cat", "dog", "car"), ("bird", "car", "cat", "tree")


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")


@pytest.fixture
def config(tiny_backbone, tmp_path):
    return TrainConfig(
        run_dir=str(tmp_path / "new"), init_run=str(tmp_path / "old"), backbone=tiny_backbone
    )


def write_run(config, paired=False, **changes):
    """A run folder as training leaves it, with a network that has learnt something."""
    keras.utils.set_random_seed(1)
    old = dataclasses.replace(config, run_dir=config.init_run, init_run="", **changes)
    network = build_classifier(old.backbone, len(OLD), paired=paired)
    generator = np.random.default_rng(1)
    network.set_weights([np.abs(generator.normal(size=w.shape)) for w in network.get_weights()])
    folder = RunFolder(old.run_dir)
    folder.claim(old)
    folder.write_json("labels.json", {"label_names": list(OLD)})
    save_network(network, folder.network_file)
    return network


@pytest.mark.parametrize("was_paired", [False, True])
@pytest.mark.parametrize("loss", ["sigmoid_cross_entropy", "multiple_cross_entropy"])
def test_labels_of_the_same_name_keep_their_logits_and_heatmaps(
    config, images, was_paired, loss, caplog
):
    theirs = write_run(config, was_paired)(images)
    caplog.set_level(logging.INFO)
    ours = start_classifier(dataclasses.replace(config, loss=loss), NEW)(images)
    for name in ("cat", "car"):
        old, new = OLD.index(name), NEW.index(name)
        for output in ("logits", "heatmaps"):
            np.testing.assert_allclose(
                ours[output][..., new], theirs[output][..., old], rtol=1e-4, atol=1e-4
            )
    drawn = start_classifier(dataclasses.replace(config, loss=loss), ("sun", "moon"))(images)
    assert not np.allclose(drawn["logits"][:, 0], theirs["logits"][:, 0], rtol=1e-2)
    assert "2 of 4 labels carried over (car, cat), 2 drawn anew (bird, tree)" in caplog.text
    assert "1 of the other run left out (dog)" in caplog.text
    assert "0 of 2 labels carried over, 2 drawn anew" in caplog.text


def test_a_run_starts_from_another_and_is_continued(tiny_settings, tiny_backbone, tmp_path):
    settings = tiny_settings | {"epochs": 1, "backbone": tiny_backbone}
    first = TrainConfig(run_dir=str(tmp_path / "first"), **settings)
    run(first)
    second = TrainConfig(run_dir=str(tmp_path / "second"), init_run=first.run_dir, **settings)
    account = run(second)
    assert run(second) == account
    # Under INT8's rounding other weights are learnt, and the files are those of any run.
    third = dataclasses.replace(second, run_dir=str(tmp_path / "third"), quantization_aware=True)
    assert run(third)["steps"] == account["steps"]
    ends = [load_network(RunFolder(config.run_dir).network_file) for config in (second, third)]
    assert [type(layer) for layer in ends[0].layers] == [type(layer) for layer in ends[1].layers]
    largest = [np.abs(a - b).max() for a, b in zip(*(n.get_weights() for n in ends), strict=True)]
    assert 0 < max(largest) < 0.1
    with pytest.raises(ValueError, match="init_run"):
        run(dataclasses.replace(second, init_run=""))
    # The run has weights of its own now: the first may go.
    shutil.rmtree(first.run_dir)
    assert run(dataclasses.replace(second, epochs=2))["epochs"] == 2
    with pytest.raises(ValueError, match="No config.json in .*first"):
        run(dataclasses.replace(second, run_dir=str(tmp_path / "fourth")))


def test_what_cannot_start_a_network_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match="old"):
        check_init_run(config)
    write_run(config)
    check_init_run(config)
    for changes, reason in (
        ({"backbone": "small"}, "has backbone 'tiny', this run 'small': give --backbone=tiny"),
        ({"backbone_weights": "imagenet"}, "both start the network"),
        ({"saliency_run": "runs/saliency"}, "both start the network"),
        ({"model": "dual_stream"}, "starts a classifier, got model 'dual_stream'"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_init_run(dataclasses.replace(config, **changes))


def test_another_network_under_the_same_name_is_refused(config, monkeypatch):
    write_run(config)
    monkeypatch.setitem(BACKBONES, "tiny", BACKBONES["tiny8"])
    with pytest.raises(ValueError, match=r"\(16, 16, 3, 8\) there, \(8, 8, 3, 8\) here"):
        start_classifier(config, NEW)
