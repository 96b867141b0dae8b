"""Evaluation over an image and its views: by hand, symmetric, and refused where it cannot be."""

import os
import shutil

import numpy as np
import pytest

from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.evaluation.classification import evaluate, evaluate_run
from vac_tf.evaluation.classification_table import format_table
from vac_tf.evaluation.test_time_views import parse_views, with_views
from vac_tf.models import build_classifier


@pytest.fixture
def run_dir(finished_run, tmp_path):
    """A copy of a finished run, to write into."""
    return shutil.copytree(finished_run.run_dir, str(tmp_path / "run"))


@pytest.fixture(scope="module")
def network():
    return build_classifier("small", 4)


def test_mirrored_images_give_mirrored_heatmaps_and_the_same_logits(network):
    images = np.random.default_rng(0).uniform(0, 255, (3, 48, 48, 3)).astype("float32")
    averaged = with_views(network, parse_views("hflip"), 48)
    there, back = averaged(images), averaged(images[:, :, ::-1])
    np.testing.assert_allclose(there["logits"], back["logits"], rtol=1e-4, atol=1e-4)
    assert there["heatmaps"].shape == (3, 3, 3, 4)
    mirrored = np.asarray(back["heatmaps"])[:, :, ::-1]
    np.testing.assert_allclose(there["heatmaps"], mirrored, rtol=1e-3, atol=1e-3)
    alone = [network(views)["logits"] for views in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(there["logits"], np.mean(alone, axis=0), rtol=1e-4, atol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


def test_an_evaluation_of_views_follows_them_and_says_so(run_dir):
    plain = evaluate_run(EvaluationConfig(run_dir=run_dir, report=False))
    seen = evaluate_run(EvaluationConfig(run_dir=run_dir, tta="hflip,rotate:1", report=False))
    assert np.abs(seen.logits - plain.logits).max() > 0
    # A mirror image has the same two views of three; without them the heatmaps follow less.
    for transform in ("hflip", "rotate"):
        relative = [run.results["inconsistency"][transform]["relative"] for run in (seen, plain)]
        assert relative[0] < relative[1]
    flip = evaluate(EvaluationConfig(run_dir=run_dir, tta="hflip", report=False))
    assert flip["inconsistency"]["hflip"]["relative"] < 1e-6
    assert flip["conventions"]["tta"] == "hflip" and "tta" not in plain.results["conventions"]
    assert "averaged over the image and its views hflip" in format_table(flip)


def test_the_page_shows_the_averaged_network(run_dir):
    from vac_tf.report.page import write_report

    path = write_report(evaluate_run(EvaluationConfig(run_dir=run_dir, tta="hflip")))
    assert os.path.getsize(path) > 0
    with open(path, encoding="utf-8") as stream:
        assert "hflip" in stream.read()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tta": "hflipp"}, "hflipp"),
        ({"tta": "translate:16:0"}, "translate"),
        ({"tta": "hflip", "tune_thresholds": True}, "leave tta out"),
        ({"tta": "hflip", "calibrate": "platt"}, "leave tta out"),
        ({"tta": "hflip", "saliency_run": "runs/saliency"}, "leave tta out"),
    ],
)
def test_views_that_cannot_be_averaged_are_refused(run_dir, settings, reason):
    with pytest.raises(ValueError, match=reason):
        evaluate(EvaluationConfig(run_dir=run_dir, **settings))
    assert not os.path.exists(os.path.join(run_dir, "evaluation.json"))


def test_the_size_of_the_images_is_no_view(run_dir, finished_run):
    with pytest.raises(ValueError, match="the image itself is always"):
        evaluate(EvaluationConfig(run_dir=run_dir, tta=f"scale:{finished_run.image_size}"))
