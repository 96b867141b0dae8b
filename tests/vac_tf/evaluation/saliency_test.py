"""Baselines and the evaluation of a split: against scores computed one by one."""

import base64
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from tests.vac_tf.fixation_files import HEIGHT, WIDTH, random_looks, write_json
from vac_tf import saliency_metrics
from vac_tf.configs.saliency import SaliencyConfig, SaliencyEvaluationConfig
from vac_tf.datasets.fixations.density import fixation_density
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.evaluation.saliency import evaluate_saliency, score_split
from vac_tf.evaluation.saliency_baselines import CentreBias, OtherFixations, observers_left_out
from vac_tf.evaluation.saliency_table import format_saliency_table
from vac_tf.metrics.saliency_scores import METRICS, mean_scores
from vac_tf.runs.folder import RunFolder
from vac_tf.training.saliency.run import build_network


@pytest.fixture
def split(tmp_path):
    write_json(tmp_path, random_looks(5))
    return read_salicon(tmp_path, "train")


def test_the_centre_bias_is_the_blur_of_all_fixations(split):
    density = CentreBias(split).density(HEIGHT, WIDTH)
    assert density.sum() == pytest.approx(1) and density.min() > 0
    every_point = np.concatenate([split.points(index) for index in range(len(split))])
    expected = fixation_density(every_point, (HEIGHT, WIDTH))
    assert np.corrcoef(density.ravel(), expected.ravel())[0, 1] > 0.99
    larger = CentreBias(split).density(2 * HEIGHT, 2 * WIDTH)
    assert larger.shape == (2 * HEIGHT, 2 * WIDTH) and larger.sum() == pytest.approx(1)


def test_other_fixations_leave_out_the_own(split):
    others = OtherFixations(split)
    total = sum(split.counts(index) for index in range(len(split)))
    for index in range(len(split)):
        np.testing.assert_array_equal(others.counts(index), total - split.counts(index))


def test_every_observer_is_left_out_once(split):
    pairs = list(observers_left_out(split, 2, most=0, seed=0))
    assert len(pairs) == 4
    owns = sorted(own.tolist() for own, _ in pairs)
    assert owns == sorted(look.tolist() for look in split.fixations[2])
    for own, others in pairs:
        assert len(own) + len(others) == len(split.points(2))
    few = list(observers_left_out(split, 2, most=2, seed=0))
    again = list(observers_left_out(split, 2, most=2, seed=0))
    assert len(few) == 2
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(few, again, strict=True))


def test_scores_are_the_means_over_images(split):
    generator = np.random.default_rng(3)
    maps = generator.random((len(split), HEIGHT, WIDTH))
    evaluation = score_split(split, {"model": lambda index: maps[index]}, CentreBias(split), 2)
    scores = evaluation["scores"]
    assert list(scores) == ["model", "centre_bias", "one_observer_out", "chance"]
    assert all(set(row) == set(METRICS) for row in scores.values())
    centre = CentreBias(split).density(HEIGHT, WIDTH)
    nss, gain, kld = [], [], []
    for index in range(len(split)):
        counts = split.counts(index)
        nss.append(saliency_metrics.nss(maps[index], counts))
        gain.append(saliency_metrics.information_gain(maps[index], counts, centre))
        truth = fixation_density(split.points(index), (HEIGHT, WIDTH))
        kld.append(saliency_metrics.kld(centre, truth))
    assert scores["model"]["nss"]["mean"] == pytest.approx(np.mean(nss))
    error = np.std(nss, ddof=1) / math.sqrt(5)
    assert scores["model"]["nss"]["standard_error"] == pytest.approx(error)
    assert scores["model"]["information_gain"]["mean"] == pytest.approx(np.mean(gain))
    assert scores["centre_bias"]["kld"]["mean"] == pytest.approx(np.mean(kld))
    assert scores["centre_bias"]["information_gain"]["mean"] == pytest.approx(0)
    assert scores["chance"]["nss"]["mean"] == 0
    assert scores["chance"]["shuffled_auc"]["mean"] == 0.5
    # People agree here (see random_looks), and the maps are noise.
    assert scores["one_observer_out"]["nss"]["mean"] > 1
    assert scores["one_observer_out"]["shuffled_auc"]["mean"] > 0.6
    json.dumps(evaluation, allow_nan=False)


def test_a_single_observer_agrees_with_nobody(tmp_path):
    write_json(tmp_path, random_looks(3, num_workers=1))
    split = read_salicon(tmp_path, "train")
    evaluation = score_split(
        split, {"model": lambda _: np.ones((HEIGHT, WIDTH))}, CentreBias(split)
    )
    assert evaluation["scores"]["one_observer_out"] == {}
    line = format_saliency_table(evaluation).splitlines()[3]
    assert line.split() == ["one", "observer", "out", *"--------"]


def test_undefined_scores_leave_the_mean():
    rows = [{"nss": 1.0, "cc": math.nan}, {"nss": math.nan, "cc": math.nan}, {"nss": 2.0, "cc": 0}]
    summary = mean_scores(rows)
    assert summary["nss"] == {"mean": 1.5, "standard_error": 0.5, "images": 2}
    assert summary["cc"] == {"mean": 0.0, "standard_error": None, "images": 1}
    assert mean_scores([{"nss": math.nan}])["nss"]["mean"] is None
    assert mean_scores([]) == {}


# ---- Runs


@pytest.fixture
def run(tmp_path, tiny_backbone):
    """Config of a run, untrained, whose training split is "mine" and whose data hold "train"."""
    for seed, (name, count) in enumerate({"mine": 3, "train": 5, "val": 2}.items()):
        looks = random_looks(count, seed=seed)
        looks = [(10 * seed + image, worker, points) for image, worker, points in looks]
        write_json(tmp_path, looks, split=name)
    config = SaliencyConfig(
        run_dir=str(tmp_path / "run"),
        dataset="salicon",
        data_dir=str(tmp_path),
        train_split="mine",
        validation_split="train",
        backbone=tiny_backbone,
        image_size=32,
    )
    write_run(config)
    return config


def write_run(config):
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    selection = {"selected_on": "a split", "epoch": 1, "weights": "raw"}
    folder.write_json("selection.json", selection)
    build_network(config).save(folder.network_file)


def evaluate_run(config, **settings):
    return evaluate_saliency(
        SaliencyEvaluationConfig(run_dir=config.run_dir, human_observers=1, **settings)
    )["conventions"]


def test_the_centre_bias_is_fitted_on_the_training_split_of_the_run(run):
    assert evaluate_run(run)["centre_bias_images"] == 3
    assert evaluate_run(run, train_split="train")["centre_bias_images"] == 5


def test_a_missing_training_split_is_refused_before_the_predictions(run, monkeypatch):
    def predict(*_):
        raise AssertionError("predicted")

    monkeypatch.setattr("vac_tf.evaluation.saliency.predict_logits", predict)
    monkeypatch.setattr("vac_tf.evaluation.saliency.predict_heatmaps", predict)
    other = {"classifier_run": run.run_dir, "data_dir": run.data_dir}
    for given in ({"run_dir": run.run_dir}, other):
        config = SaliencyEvaluationConfig(**given, train_split="absent")
        with pytest.raises(ValueError, match="No fixations_absent.*centre bias.*--train_split"):
            evaluate_saliency(config)


def test_a_run_whose_own_splits_are_gone_is_evaluated_all_the_same(run, caplog):
    seen = evaluate_run(run, split="train")
    assert (seen["images_selected_on"], seen["images_trained_on"]) == (5, 0)
    RunFolder(run.run_dir).write_json(
        "config.json", dataclasses.asdict(dataclasses.replace(run, validation_split="gone"))
    )
    unknown = evaluate_run(run, split="train")
    names = ("selected_on_this_split", "images_selected_on", "images_trained_on")
    assert [unknown[name] for name in names] == [None, None, None]
    assert "images of split train is not known: No fixations_gone" in caplog.text
    assert {**unknown, **{name: seen[name] for name in names}} == seen


# ---- Result files


def write_results(path, split, shape=(HEIGHT, WIDTH), leave_out=0):
    rows = []
    for index in range(len(split) - leave_out):
        density = fixation_density(split.points(index), shape)
        stream = io.BytesIO()
        pixels = np.rint(255 * density / density.max()).astype(np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        text = base64.b64encode(stream.getvalue()).decode()
        rows.append({"image_id": split.image_ids[index], "saliency_map": text})
    path.write_text(json.dumps(rows))
    return str(path)


def test_a_result_file_is_scored_beside_the_baselines(tmp_path, split):
    path = write_results(tmp_path / "results.json", split)
    config = SaliencyEvaluationConfig(result_file=path, data_dir=str(tmp_path), split="train")
    evaluation = evaluate_saliency(config)
    assert evaluation["scores"]["model"]["cc"]["mean"] > 0.99
    assert evaluation["scores"]["model"]["nss"]["images"] == 5
    table = format_saliency_table(evaluation).splitlines()
    assert table[1].startswith("model") and "5 images of split 'train'" in table[-1]


def test_incomplete_result_files_are_refused(tmp_path, split):
    def evaluate(path):
        evaluate_saliency(
            SaliencyEvaluationConfig(result_file=path, data_dir=str(tmp_path), split="train")
        )

    with pytest.raises(ValueError, match="no map of 1 of 5 images of split 'train'.*'4'"):
        evaluate(write_results(tmp_path / "results.json", split, leave_out=1))
    path = write_results(tmp_path / "results.json", split.select([0]), shape=(HEIGHT, WIDTH))
    rows = json.loads((tmp_path / "results.json").read_text())
    small = io.BytesIO()
    Image.fromarray(np.ones((9, 9), np.uint8)).save(small, "PNG")
    rows[0]["saliency_map"] = base64.b64encode(small.getvalue()).decode()
    rows += [{**rows[0], "image_id": name} for name in split.image_ids[1:]]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"map of image '0' has \(9, 9\) pixels.*\(48, 64\)"):
        evaluate(path)
    with pytest.raises(ValueError, match="one of run_dir, result_file and classifier_run"):
        SaliencyEvaluationConfig()


def test_the_official_example_is_scored(real_data):
    folder = real_data("salicon_examples")
    (path,) = (folder / "results").glob("*.json")
    config = SaliencyEvaluationConfig(
        result_file=str(path), data_dir=str(folder), split="train", human_observers=1, max_images=3
    )
    scores = evaluate_saliency(config)["scores"]
    assert scores["model"]["nss"]["images"] == 3
    assert scores["model"]["nss"]["mean"] > 0.5
    assert 0 < scores["centre_bias"]["nss"]["mean"] < scores["one_observer_out"]["nss"]["mean"] * 3
