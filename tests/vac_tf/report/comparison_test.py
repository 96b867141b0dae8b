"""Comparisons: paired intervals, gains per label, panels, and runs that do not compare."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from tests.vac_tf.report.evaluated_runs import Brightness, evaluated_run
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.evaluation.classification import evaluate_run
from vac_tf.inputs.image_source import ImageSource
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.report.comparison import panels as panels_module
from vac_tf.report.comparison.gains import measure_gains
from vac_tf.report.comparison.panels import draw_panels, panel_examples
from vac_tf.report.comparison.runs import (
    check_compared,
    compared_runs,
    own_run,
    run_folders,
)
from vac_tf.report.looking import look_again
from vac_tf.report.page import write_report
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def evaluated(tmp_path):
    return evaluated_run(tmp_path, ("a", "b"), num_images=30)


def other_run(evaluated, logits, name="other"):
    return dataclasses.replace(own_run(evaluated), name=name, logits=logits)


def test_a_run_gains_nothing_over_itself(evaluated):
    gains = measure_gains(evaluated, own_run(evaluated))
    for each in [*gains.metrics, *gains.labels]:
        assert each.own == each.other and each.difference == 0
        assert each.interval == pytest.approx((0, 0)) and not each.is_sure
    assert gains.largest == 1.0


def test_differences_are_those_of_the_metrics_and_surely_above_noise(evaluated):
    noise = np.random.default_rng(0).normal(size=evaluated.logits.shape).astype(np.float32)
    gains = measure_gains(evaluated, other_run(evaluated, noise))
    names = evaluated.source.split.label_names
    own, other = (
        evaluate_logits(evaluated.labels, logits, names) for logits in (evaluated.logits, noise)
    )
    for each in gains.metrics:
        group = "example_based" if each.name in own["example_based"] else "label_based"
        assert each.own == pytest.approx(own[group][each.name])
        assert each.difference == pytest.approx(own[group][each.name] - other[group][each.name])
        assert each.interval[0] <= each.difference <= each.interval[1]
    assert gains.metrics[0].name == "mAP" and gains.metrics[0].is_sure
    assert [each.difference for each in gains.labels] == sorted(
        (each.difference for each in gains.labels), reverse=True
    )


def test_of_many_labels_the_ends_are_shown(tmp_path):
    evaluated = evaluated_run(tmp_path, [f"{number}" for number in range(70)], num_images=40)
    gains = measure_gains(evaluated, other_run(evaluated, evaluated.logits[::-1]))
    assert len(gains.labels) + gains.not_shown == 70 and len(gains.labels) == 60


def test_panels_have_a_picture_per_run_and_transform(evaluated, monkeypatch):
    runs = [own_run(evaluated), dataclasses.replace(own_run(evaluated), network=Brightness(2))]
    flip = types.SimpleNamespace(images=lambda images: images[:, :, ::-1])
    monkeypatch.setattr(panels_module, "heatmap_strides", lambda network: (8,))
    monkeypatch.setattr(panels_module, "table2_transforms", lambda *_: {"hflip": flip})
    pairs = [tuple(pair) for pair in np.argwhere(evaluated.labels == 1).tolist()]
    examples = panel_examples(evaluated, look_again(evaluated, pairs))
    assert len({label for _, label in examples}) == len(examples) == 2
    for panel in draw_panels(evaluated, runs, examples, lambda pixels: str(pixels.shape)):
        assert panel.rows == {"original": ["(16, 16, 3)"] * 2, "mirrored": ["(16, 16, 3)"] * 2}


def test_names_of_runs_are_told_apart():
    assert list(run_folders("x/a, y/b", "z/c")) == ["a", "b"]
    assert list(run_folders("x/a,y/a", "z/c")) == ["x/a", "y/a"]
    assert list(run_folders("x/a", "z/a")) == ["x/a"]
    assert run_folders("", "z/a") == {}


def test_runs_that_do_not_compare_are_refused_before_the_evaluation(evaluated, tmp_path):
    other, names = tmp_path / "other", ["a", "b"]
    config = EvaluationConfig(run_dir=str(tmp_path), compare_with=str(other))
    with pytest.raises(ValueError, match="No config.json in"):
        check_compared(config, names)
    shutil.copytree(tmp_path / "images", other)
    (other / "config.json").write_text(json.dumps(dataclasses.asdict(evaluated.run_config)))
    (other / "labels.json").write_text('{"label_names": ["a", "c"]}')
    with pytest.raises(ValueError, match=r"other labels than .*such as \['b', 'c'\]"):
        check_compared(config, names)
    (other / "labels.json").write_text('{"label_names": ["b", "a"]}')
    with pytest.raises(ValueError, match="no network.keras in"):
        check_compared(config, names)


def test_a_compared_run_sees_the_views_that_the_evaluated_one_sees(finished_run, tmp_path):
    same = shutil.copytree(finished_run.run_dir, tmp_path / "same")
    config = EvaluationConfig(
        run_dir=finished_run.run_dir,
        compare_with=str(same),
        tta="hflip,scale:24",
        inconsistency=False,
    )
    check_compared(config, RunFolder(config.run_dir).read_label_names())
    evaluated = evaluate_run(config)
    (compared,) = compared_runs(evaluated)
    np.testing.assert_allclose(compared.logits, evaluated.logits, atol=1e-5)
    alone = evaluate_run(dataclasses.replace(config, tta=""))
    assert np.abs(compared.logits - alone.logits).max() > 1e-3
    with pytest.raises(ValueError, match="compare_with: .*same.*scale:32 is the size of the imag"):
        check_compared(
            dataclasses.replace(config, tta="scale:32"), evaluated.source.split.label_names
        )


def test_whole_groups_are_drawn_and_the_page_says_so(evaluated):
    noise = np.random.default_rng(0).normal(size=evaluated.logits.shape).astype(np.float32)
    alone = measure_gains(evaluated, other_run(evaluated, noise))
    people = tuple(f"{number // 6}" for number in range(30))
    split = dataclasses.replace(evaluated.source.split, groups=people)
    source = ImageSource(split, evaluated.source.settings)
    run_config = dataclasses.replace(evaluated.run_config, group_column="person")
    grouped = dataclasses.replace(evaluated, source=source, run_config=run_config)
    gains = measure_gains(grouped, other_run(grouped, noise))
    assert [each.difference for each in gains.metrics] == [
        each.difference for each in alone.metrics
    ]
    assert all(
        one.interval != other.interval
        for one, other in zip(gains.metrics, alone.metrics, strict=True)
    )
    with open(write_report(grouped), encoding="utf-8") as stream:
        page = stream.read()
    assert page.count("5 groups of images (person)") == 2
