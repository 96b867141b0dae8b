"""The analysis on tiny scenes: its files against scipy, what it leaves out, and bad input."""

import csv
import dataclasses
import json
import math
import os
import re
import shutil

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from tests.vac_tf.analysis.analysis_runs import write_classifier_run, write_saliency_run
from tests.vac_tf.fixation_files import random_looks, write_json
from vac_tf.analysis.description import describe, introduction
from vac_tf.analysis.inputs import read_inputs
from vac_tf.analysis.run import analyze
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.runs.folder import RunFolder


@pytest.fixture(scope="module")
def runs(tiny_settings, tmp_path_factory):
    """Two runs of the same labels, and a saliency run."""
    folder = tmp_path_factory.mktemp("analysed")
    return {
        "run_dir": write_classifier_run(folder / "model", tiny_settings, seed=0),
        "baseline_run_dir": write_classifier_run(folder / "baseline", tiny_settings, seed=1),
        "saliency_run": write_saliency_run(folder / "saliency"),
    }


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """Folder and result of an analysis with everything."""
    folder = tmp_path_factory.mktemp("whole") / "analysis"
    config = AnalysisConfig(
        **runs,
        output_dir=str(folder),
        split="train+test",
        bootstrap_samples=50,
        panels=2,
    )
    return folder, analyze(config)


@pytest.fixture(scope="module")
def inputs(runs):
    """What `whole` was made of."""
    return read_inputs(AnalysisConfig(**runs, split="train+test"))


def read_objects(folder):
    with open(folder / "objects.csv", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["left_out"] == ""]


def test_every_part_is_there_and_the_page_shows_its_figures(whole):
    folder, analysis = whole
    assert json.loads((folder / "analysis.json").read_text()) == analysis
    parts = {"about", "objects", "classes", "localization", "clutter", "gain", "panels"}
    parts |= {"attention", "readings"}
    assert set(analysis) == parts
    assert not [name for name in parts if "left_out" in analysis[name] and name != "about"]
    page = (folder / "report.html").read_text()
    shown = re.findall(r'src="([^"]*)"', page)
    names = {"objects", "classes", "clutter", "gain", "gain_correlations", "attention_by_label"}
    names |= {"attention_by_outcome", "attention_by_clutter", "attention_examples"}
    assert {f"figures/{name}.png" for name in names} <= set(shown)
    for path in shown:
        assert (folder / path).read_bytes().startswith(b"\x89PNG")
    assert {f"figures/{path.name}" for path in (folder / "figures").iterdir()} == set(shown)
    assert "SIMULATED" in page and "Left out" not in page and page.count("<script") == 1
    for sentences in analysis["readings"].values():
        assert sentences


def test_images_seen_in_training_are_counted_whatever_their_split_is_called(runs, tmp_path):
    inputs = read_inputs(AnalysisConfig(run_dir=runs["run_dir"]))
    # The scenes lie there in COCO's layout.
    there = os.path.dirname(os.path.dirname(inputs.split.image_paths[0]))
    shutil.copytree(there, tmp_path / "copy")
    config = AnalysisConfig(
        run_dir=runs["run_dir"],
        dataset="coco",
        data_dir=str(tmp_path / "copy"),
        split="train+val",
    )
    about = describe(config, read_inputs(config))
    assert about["models"]["model"]["seen_in_training"] == {"trained_on": 48, "selected_on": 8}
    assert any("trained on 48 and selected on 8 of these" in text for text in introduction(about))


def test_tests_of_found_objects_equal_scipy_on_the_table(whole):
    folder, analysis = whole
    rows = read_objects(folder)
    assert analysis["objects"]["objects"]["used"] == len(rows)
    checked = set()
    for name, result in analysis["objects"]["quantities"].items():
        groups = [
            np.array([float(r[name]) for r in rows if r["found"] == found and r[name]])
            for found in ("true", "false")
        ]
        assert [result["found"]["count"], result["missed"]["count"]] == [len(g) for g in groups]
        if result["reason"]:
            continue
        for test, equal in (("t_test", True), ("welch_t_test", False)):
            expected = stats.ttest_ind(*groups, equal_var=equal)
            assert result[test]["t"] == pytest.approx(expected.statistic)
            assert result[test]["p_value"] == pytest.approx(expected.pvalue)
        n, m = map(len, groups)
        pooled = math.sqrt(
            ((n - 1) * groups[0].var(ddof=1) + (m - 1) * groups[1].var(ddof=1)) / (n + m - 2)
        )
        expected = (groups[0].mean() - groups[1].mean()) / pooled
        assert result["effect_size"] == pytest.approx(expected)
        checked.add(name)
    assert {"size", "distance", "true_saliency"} <= checked


def test_correlations_equal_scipy_on_the_table(whole, inputs):
    folder, analysis = whole
    rows = read_objects(folder)
    names = inputs.split.label_names
    values = {}
    for label, name in enumerate(names):
        own = [float(row["size"]) for row in rows if row["category"] == name]
        if own and inputs.split.labels[:, label].any():
            precision = average_precision_score(
                inputs.split.labels[:, label], inputs.model.scores[:, label]
            )
            values[name] = np.mean(own), precision
    sizes, precisions = np.array(list(values.values())).T
    expected = stats.pearsonr(sizes, precisions)
    result = analysis["classes"]["correlations"]["size"]
    assert result["pearson"]["correlation"] == pytest.approx(expected.statistic)
    assert result["pearson"]["p_value"] == pytest.approx(expected.pvalue)
    assert result["count"] == len(values)
    points = {p["name"]: p for p in analysis["gain"]["correlations"]["points"]}
    both = [(points[n]["area"], points[n]["difference"]) for n in values]
    expected = stats.spearmanr(*zip(*both, strict=True))
    spearman = analysis["gain"]["correlations"]["area"]["spearman"]
    assert spearman["correlation"] == pytest.approx(expected.statistic)


def test_panels_are_labels_that_one_misses_and_the_other_finds(whole, inputs):
    _, analysis = whole
    present = inputs.split.labels == 1
    gained = present & inputs.model.predicted & ~inputs.baseline.predicted
    lost = present & ~inputs.model.predicted & inputs.baseline.predicted
    panels = analysis["panels"]
    assert [panels["gained"]["labels"], panels["lost"]["labels"]] == [gained.sum(), lost.sum()]
    for part in (panels["gained"], panels["lost"]):
        gains = [row["found_with"] - row["missed_with"] for row in part["examples"]]
        assert gains == sorted(gains, reverse=True) and len(gains) <= 2
        assert all(row["missed_with"] <= 0.5 < row["found_with"] for row in part["examples"])
        assert len({row["image"] for row in part["examples"]}) == len(gains)
        assert (part["figure"] is None) == (not gains)
    assert panels["gained"]["labels"] or panels["lost"]["labels"]


def test_both_streams_of_a_dual_stream_network_are_measured(tiny_settings, tmp_path):
    run_dir = write_classifier_run(tmp_path / "dual", tiny_settings, dual_stream=True)
    config = AnalysisConfig(run_dir=run_dir, bootstrap_samples=5)
    model = read_inputs(config).model
    trunk, branch = (model.stream_heatmaps[name].maps for name in ("trunk", "branch"))
    np.testing.assert_allclose(model.heatmaps.maps, trunk + branch, rtol=1e-3, atol=1e-4)
    analysis = analyze(config)
    streams = analysis["attention"]["streams"]["dual"]
    pairs = analysis["attention"]["models"]["dual"]["pairs"]
    assert [streams["summaries"][name]["pairs"] for name in ("trunk", "branch")] == [pairs] * 2
    assert "nss" in streams["branch_minus_trunk"]
    page = (tmp_path / "dual" / "analysis" / "report.html").read_text()
    assert "the branch of dual" in page and "trunk of dual: all" in page
    looks = {"dual", "dual, trunk", "dual, branch", "centre of the image"}
    assert set(analysis["localization"]["models"]) == looks


def test_examples_of_attention_are_found_labels_from_best_to_worst(whole, inputs):
    _, analysis = whole
    examples = analysis["attention"]["examples"]
    assert len(examples) == 2 and examples[0]["score"] >= examples[1]["score"]
    for example in examples:
        image = inputs.split.image_paths.index(example["image"])
        label = inputs.split.label_names.index(example["label"])
        assert inputs.split.labels[image, label] == 1 and inputs.model.predicted[image, label]


def test_what_is_not_given_is_left_out_and_said(runs, tmp_path):
    config = AnalysisConfig(
        run_dir=runs["run_dir"],
        output_dir=str(tmp_path),
        simulated_fixations=False,
        max_images=8,
        bootstrap_samples=5,
        causal_images=2,
    )
    analysis = analyze(config)
    page = (tmp_path / "report.html").read_text()
    for name, reason in {
        "gain": "--baseline_run_dir",
        "panels": "--baseline_run_dir",
        "attention": "--saliency_run",
    }.items():
        assert reason in analysis[name]["left_out"]
    assert page.count("Left out:") == 3
    looks = analysis["localization"]["models"]
    assert list(looks) == ["model", "centre of the image"]
    assert looks["model"]["causal_pairs"] > 0 and 0 < looks["model"]["deletion"] < 1
    assert "insertion" not in looks["centre of the image"] and "MaxBoxAccV2" in page
    assert set(analysis["objects"]["quantities"]) == {"size", "distance"}


def test_a_saliency_network_audits_a_classifier_without_fixations(runs, tmp_path):
    config = AnalysisConfig(
        run_dir=runs["run_dir"],
        saliency_run=runs["saliency_run"],
        output_dir=str(tmp_path),
        simulated_fixations=False,
        max_images=8,
        bootstrap_samples=5,
    )
    attention = analyze(config)["attention"]
    assert attention["reference"] == "predicted saliency"
    (summary,) = attention["models"].values()
    scores = summary["groups"]["all"]["scores"]
    assert set(scores) == {"heatmap", "centre_bias", "chance"}
    assert set(scores["heatmap"]) == {"cc", "kld"}
    assert "not what people looked at" in (tmp_path / "report.html").read_text()


def write_scores(path, split, scores, rows=None, logits=None):
    """A CSV as score.py writes it, of the first `rows` images."""
    columns = ["image", "status", "error", *split.label_names, "decisions"]
    columns += [] if logits is None else [f"logit:{name}" for name in split.label_names]
    lines = [",".join(columns)]
    for index, (image, values) in enumerate(zip(split.image_paths, scores, strict=True)):
        decided = "|".join(np.array(split.label_names)[values > 0.5])
        cells = [image, "ok", "", *(str(value) for value in values), decided]
        cells += [] if logits is None else [str(value) for value in logits[index]]
        lines.append(",".join(cells))
    lines = lines[: 1 + rows] if rows else lines
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def scored(runs, tmp_path):
    """Settings of an analysis of scored files, equal to those of the run, and the test split."""
    inputs = read_inputs(AnalysisConfig(run_dir=runs["run_dir"]))
    scores = write_scores(tmp_path / "scores.csv", inputs.split, inputs.model.scores)
    # The scenes lie there in COCO's layout.
    data_dir = os.path.dirname(os.path.dirname(inputs.split.image_paths[0]))
    settings = {"scores": scores, "data_dir": data_dir, "split": "test"}
    return settings | {"output_dir": str(tmp_path / "out")}, inputs


def test_a_scored_file_gives_what_the_run_gives(runs, scored, tmp_path):
    settings, inputs = scored
    from_file = analyze(AnalysisConfig(**settings, bootstrap_samples=5))
    run = AnalysisConfig(
        run_dir=runs["run_dir"], output_dir=str(tmp_path / "run"), bootstrap_samples=5
    )
    from_run = analyze(dataclasses.replace(run, simulated_fixations=False))
    for name in ("objects", "classes"):
        assert from_file[name] == from_run[name]
    assert from_file["clutter"]["groups"] == from_run["clutter"]["groups"]
    for part in ("attention", "localization"):
        assert "no heatmaps" in from_file[part]["left_out"]


def test_saturated_probabilities_of_a_file_are_ranked_by_its_logits(scored, tmp_path, caplog):
    settings, inputs = scored
    certain = 1 / (1 + np.exp(-(18 + 2 * inputs.split.labels)))
    write_scores(tmp_path / "scores.csv", inputs.split, np.float32(certain))
    assert min(average_precisions(settings)) < 1
    assert "order is lost" in caplog.text and str(tmp_path / "scores.csv") in caplog.text
    caplog.clear()
    logits = 18 + 2 * inputs.split.labels
    write_scores(tmp_path / "scores.csv", inputs.split, np.float32(certain), logits=logits)
    assert set(average_precisions(settings)) == {1.0}
    assert caplog.text == ""


def average_precisions(settings):
    analysis = analyze(AnalysisConfig(**settings, bootstrap_samples=1))
    return [label["average_precision"] for label in analysis["classes"]["classes"]]


# ---- Bad input


def test_scored_file_with_missing_images(scored, tmp_path):
    settings, inputs = scored
    write_scores(tmp_path / "scores.csv", inputs.split, inputs.model.scores, rows=10)
    with pytest.raises(ValueError, match=r"no scores of 6 of 16 images, the first being .*10.png"):
        analyze(AnalysisConfig(**settings))
    config = AnalysisConfig(**settings, skip_bad_images=True, bootstrap_samples=5)
    analysis = analyze(config)
    assert analysis["about"]["images"] == 10 and len(analysis["about"]["left_out"]) == 6


def test_scored_file_of_other_labels(scored, tmp_path):
    settings, inputs = scored
    header, rows = (tmp_path / "scores.csv").read_text().split("\n", 1)
    header = header.replace(f",{inputs.split.label_names[0]},", ",cow,")
    (tmp_path / "scores.csv").write_text(f"{header}\n{rows}")
    with pytest.raises(ValueError, match=r"Not in the split: \['cow'\]"):
        analyze(AnalysisConfig(**settings))


def test_runs_of_other_labels(runs, tiny_settings, tmp_path):
    names = ["cow", *RunFolder(runs["run_dir"]).read_json("labels.json")["label_names"][1:]]
    other = write_classifier_run(tmp_path / "cows", tiny_settings, label_names=names)
    config = AnalysisConfig(run_dir=runs["run_dir"], baseline_run_dir=other)
    with pytest.raises(ValueError, match=r"cannot be compared. Only in one of them: \['"):
        read_inputs(config)


def test_a_classifier_is_no_saliency_run_and_the_reverse(runs):
    with pytest.raises(ValueError, match="is no run of train_saliency.py"):
        read_inputs(AnalysisConfig(run_dir=runs["run_dir"], saliency_run=runs["run_dir"]))
    with pytest.raises(ValueError, match="is no run of a classifier by train.py"):
        read_inputs(AnalysisConfig(run_dir=runs["saliency_run"]))
    with pytest.raises(ValueError, match="is no run of train_saliency.py: No config.json"):
        read_inputs(AnalysisConfig(run_dir=runs["run_dir"], saliency_run="/nowhere"))


def test_fixations_on_other_images(runs, tmp_path):
    write_json(tmp_path, [(100 + n, worker, points) for n, worker, points in random_looks(3)])
    config = AnalysisConfig(
        run_dir=runs["run_dir"], fixations_dir=str(tmp_path), fixations_split="train"
    )
    with pytest.raises(ValueError, match=f"{tmp_path}: Fixations on 0 of the 16 images"):
        read_inputs(config)


def test_fixations_on_some_of_the_images(runs, tmp_path):
    split = read_run_split(RunFolder(runs["run_dir"]).read_config(), "test")
    write_json(tmp_path, random_looks(4), height=32, width=32)
    names = [path.rsplit("/", 1)[1] for path in split.image_paths[:4]]
    content = json.loads((tmp_path / "fixations_train.json").read_text())
    for row, name in zip(content["images"], names, strict=True):
        (tmp_path / "images" / row["file_name"]).rename(tmp_path / "images" / name)
        row["file_name"] = name
    for row in content["annotations"]:
        row["fixations"] = [[min(p[0], 32), min(p[1], 32)] for p in row["fixations"]]
    (tmp_path / "fixations_train.json").write_text(json.dumps(content))
    config = AnalysisConfig(
        run_dir=runs["run_dir"],
        fixations_dir=str(tmp_path),
        fixations_split="train",
        output_dir=str(tmp_path / "out"),
        bootstrap_samples=5,
    )
    attention = analyze(config)["attention"]
    assert attention["reference"] == "fixations"
    assert [attention["images"], attention["images_without_fixations"]] == [4, 12]


def test_images_without_any_object(runs, tiny_settings, tmp_path):
    data_dir = shutil.copytree(tiny_settings["data_dir"], tmp_path / "data")
    for path in data_dir.glob("scenes_*/annotations/instances_test.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    config = AnalysisConfig(run_dir=runs["run_dir"], data_dir=str(data_dir))
    with pytest.raises(ValueError, match="No image of split 'test' has an annotated object"):
        read_inputs(config)


def test_a_dataset_without_masks(runs, tmp_path):
    run = shutil.copytree(runs["run_dir"], tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"dataset": "table"}))
    with pytest.raises(ValueError, match="Dataset 'table' has no masks of objects"):
        read_inputs(AnalysisConfig(run_dir=str(run)))


def test_an_output_folder_that_cannot_be_written(runs, tmp_path):
    (tmp_path / "file").write_text("in the way")
    config = AnalysisConfig(run_dir=runs["run_dir"], output_dir=str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"cannot be written: .*Choose another --output_dir"):
        analyze(config)


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "Give either run_dir"),
        ({"run_dir": "r", "scores": "s"}, "Give either run_dir"),
        ({"run_dir": "r", "baseline_run_dir": "b", "baseline_scores": "s"}, "one second model"),
        ({"scores": "s.csv", "output_dir": "o"}, "scores need data_dir"),
        ({"scores": "s.csv", "data_dir": "d"}, "scores need output_dir"),
        ({"run_dir": "r", "threshold": 1.0}, "threshold must be below 1"),
        ({"run_dir": "r", "bootstrap_samples": 0}, "bootstrap_samples must be at least 1"),
        ({"run_dir": "r", "panels": -1}, "panels must not be negative"),
        ({"run_dir": "r", "dataset": "wider"}, "Unknown dataset 'wider'"),
    ],
)
def test_settings_that_do_not_fit(values, message):
    with pytest.raises(ValueError, match=message):
        AnalysisConfig(**values)
