"""One network from several runs: exact means, and nothing that is worse than what went in."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from tests.vac_tf.tiny_backbones import add_tiny_backbones
from vac_tf.averaging import run as averaging
from vac_tf.averaging.config import AveragingConfig
from vac_tf.averaging.networks import averaged_outputs, averaged_weights
from vac_tf.averaging.refusal import NoBetterError
from vac_tf.averaging.run import _check_held_out, average_runs, format_average
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.evaluation.classification import evaluate
from vac_tf.models import build_classifier
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run


@pytest.fixture(scope="module")
def runs(tiny_settings, tmp_path_factory):
    """Folders of three runs of the same start and images, and other orders of them."""
    folder = tmp_path_factory.mktemp("averaged")
    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        settings = tiny_settings | {"backbone": "tiny", "epochs": 1, "ema_decay": 0.0}
        base = TrainConfig(
            run_dir=f"{folder}/base", validation_fraction=0.25, split_seed=0, **settings
        )
        run(base)
        paths = []
        for seed in range(3):
            config = dataclasses.replace(
                base, run_dir=f"{folder}/{seed}", seed=seed, init_run=base.run_dir
            )
            run(config)
            paths.append(config.run_dir)
        yield paths


@pytest.fixture(autouse=True)
def backbone(tiny_backbone):
    return tiny_backbone


def config_of(runs, tmp_path, **settings):
    return AveragingConfig(runs=",".join(runs), run_dir=str(tmp_path / "average"), **settings)


def networks_of(runs):
    return [load_network(RunFolder(path).network_file) for path in runs]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")


def test_weights_and_outputs_are_means(runs, images):
    networks = networks_of(runs)
    mean = averaged_weights(networks)
    for weight, *parts in zip(*(n.get_weights() for n in (mean, *networks)), strict=True):
        np.testing.assert_allclose(weight, np.mean(parts, axis=0), rtol=1e-6, atol=1e-7)
    together = averaged_outputs(networks)(images)
    for name in ("logits", "heatmaps"):
        expected = np.mean([np.asarray(n(images)[name]) for n in networks], axis=0)
        np.testing.assert_allclose(together[name], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["greedy", "uniform", "outputs"])
def test_what_is_better_becomes_a_run_like_any_other(runs, tmp_path, monkeypatch, way):
    scores = iter([0.5, 0.6, 0.4, 0.7, 0.65])  # Of the runs, then of averages as they are made.
    monkeypatch.setattr(averaging, "_scorer", lambda *_: lambda network: next(scores))
    result = average_runs(config_of(runs, tmp_path, way=way))
    assert list(result["runs"].values()) == [0.5, 0.6, 0.4]
    # Greedy: the best with the next is better, with the last no more.
    assert result["averaged"] == (runs[:2] if way == "greedy" else runs)
    assert result["mAP"] == 0.7 and format_average(result).count("*") == len(result["averaged"])
    folder = RunFolder(str(tmp_path / "average"))
    assert folder.read_json("selection.json")["averaged"] == result["averaged"]
    evaluation = evaluate(EvaluationConfig(run_dir=folder.path, report=False))
    assert evaluation["conventions"]["selected_weights"].startswith(f"{way} average of")


def test_statistics_belong_to_the_averaged_weights(runs, tmp_path, monkeypatch):
    scores = iter([0.1, 0.1, 0.1, 0.2])
    monkeypatch.setattr(averaging, "_scorer", lambda *_: lambda network: next(scores))
    average_runs(config_of(runs, tmp_path, way="uniform"))
    averaged = load_network(RunFolder(str(tmp_path / "average")).network_file)
    plain = averaged_weights(networks_of(runs))
    names = [weight.path for weight in averaged.weights]
    for name, ours, mean in zip(names, averaged.get_weights(), plain.get_weights(), strict=True):
        same = np.allclose(ours, mean, rtol=1e-5, atol=1e-7)
        assert same != ("moving" in name), name


def test_an_average_that_is_no_better_is_not_written(runs, tmp_path, monkeypatch):
    scores = iter([0.5, 0.6, 0.4, 0.6, 0.6])
    monkeypatch.setattr(averaging, "_scorer", lambda *_: lambda network: next(scores))
    expected = r"no more than 0\.6000 of .*1 alone: nothing was written"
    with pytest.raises(NoBetterError, match=expected):
        average_runs(config_of(runs, tmp_path))
    assert not (tmp_path / "average").exists()


def test_the_outputs_of_a_run_and_its_copy_are_no_better_than_it(runs, tmp_path):
    copy = changed(runs[0], tmp_path)
    with pytest.raises(NoBetterError):
        average_runs(config_of([runs[0], copy], tmp_path, way="outputs"))


def changed(run, tmp_path, **changes):
    """A copy of a run with other settings in its config."""
    shutil.copytree(run, tmp_path / "changed")
    values = json.loads((tmp_path / "changed" / "config.json").read_text())
    (tmp_path / "changed" / "config.json").write_text(json.dumps(values | changes))
    return str(tmp_path / "changed")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split_seed": 1}, "differs from .* in split_seed"),
        ({"image_size": 48}, r"in image_size \(32 there, 48 here\)"),
        ({"backbone": "tiny8"}, "in backbone"),
        ({"validation_fraction": 0.5}, "in validation_fraction"),
    ],
)
def test_runs_that_are_not_alike_are_named(runs, tmp_path, changes, reason):
    other = changed(runs[1], tmp_path, **changes)
    with pytest.raises(ValueError, match=reason):
        average_runs(config_of([runs[0], other], tmp_path))


def test_other_labels_and_networks_are_named(runs, tmp_path):
    other = changed(runs[1], tmp_path)
    names = RunFolder(runs[0]).read_label_names()
    RunFolder(other).write_json("labels.json", {"label_names": ["sun", *names[1:]]})
    with pytest.raises(ValueError, match=f"has other labels than .*'{names[0]}', 'sun'"):
        average_runs(config_of([runs[0], other], tmp_path))


def test_what_the_flags_cannot_mean_is_refused(runs, tmp_path):
    for folders, reason in ((runs[:1], "two run folders at least"), (runs[:1] * 2, "twice")):
        with pytest.raises(ValueError, match=reason):
            config_of(folders, tmp_path)
    os.makedirs(tmp_path / "average" / "something")
    with pytest.raises(ValueError, match="is not empty: give a new folder"):
        average_runs(config_of(runs, tmp_path))


def test_outputs_of_other_grids_are_refused_before_anything_is_scored(runs, tmp_path):
    other = changed(runs[1], tmp_path, backbone="tiny8")
    names = RunFolder(other).read_label_names()
    save_network(build_classifier("tiny8", len(names)), RunFolder(other).network_file)
    reason = r"heatmaps \(None, 2, 2, 12\) against heatmaps \(None, 4, 4, 12\)"
    with pytest.raises(ValueError, match=reason):
        average_runs(config_of([runs[0], other], tmp_path, way="outputs"))


def test_runs_whose_data_lies_elsewhere_may_not_have_learnt_what_selects(runs, tmp_path):
    theirs = RunFolder(runs[1]).read_config()
    data = shutil.copytree(theirs.data_dir, tmp_path / "data")
    other = changed(runs[1], tmp_path, data_dir=str(data))
    # The same split of copies is no reason to refuse them.
    _check_held_out(theirs, read_run_splits(theirs), [other], [RunFolder(other).read_config()])
    drawn = dataclasses.replace(theirs, data_dir=str(data), split_seed=5)
    with pytest.raises(ValueError, match="was trained on .* images .held-out"):
        _check_held_out(theirs, read_run_splits(theirs), [other], [drawn])


def test_a_converted_checkpoint_and_what_a_cut_average_left_are_no_hindrance(
    runs, tmp_path, monkeypatch
):
    monkeypatch.setattr(averaging, "_scorer", lambda *_: lambda network: next(scores))
    converted = changed(runs[1], tmp_path)
    selection = RunFolder(converted).read_json("selection.json")
    RunFolder(converted).write_json("selection.json", selection | {"epoch": None})
    with monkeypatch.context() as patch:

        def cut(*_):
            raise KeyboardInterrupt

        patch.setattr(averaging, "save_network", cut)
        scores = iter([0.5, 0.5, 0.6])
        with pytest.raises(KeyboardInterrupt):
            average_runs(config_of([runs[0], converted], tmp_path))
    scores = iter([0.5, 0.5, 0.6])
    average_runs(config_of([runs[0], converted], tmp_path))
    assert RunFolder(str(tmp_path / "average")).read_json("selection.json")["epoch"] == 1
