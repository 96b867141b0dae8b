"""A classifier's heatmaps as saliency maps: whose heatmaps are taken, and how they are scored."""

import numpy as np
import pytest

from tests.vac_tf.analysis.analysis_runs import write_classifier_run
from tests.vac_tf.fixation_files import HEIGHT, WIDTH, random_looks, write_json
from vac_tf.configs.saliency import SaliencyEvaluationConfig
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule, write_decision_rule
from vac_tf.evaluation.heatmaps_as_saliency import heatmap_density, predict_heatmaps
from vac_tf.evaluation.saliency import evaluate_saliency
from vac_tf.evaluation.saliency_table import format_saliency_table
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.settings import image_settings
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def run_dir(tmp_path, tiny_backbone):
    """A classifier of two streams that knows nothing of these photographs."""
    del tiny_backbone
    write_json(tmp_path, random_looks(5))
    names = tuple("abcdefgh")
    return write_classifier_run(tmp_path / "run", {"image_size": 32}, 0, names, dual_stream=True)


def test_a_heatmap_becomes_a_density_whatever_its_offset_and_scale():
    heatmap = np.random.default_rng(0).normal(size=(3, 4))
    density = heatmap_density(heatmap, 30, 40)
    assert density.shape == (30, 40) and density.min() == 0
    assert density.sum() == pytest.approx(1)
    for scale, offset in ((7.0, 0.0), (1e-4, 1e4), (1e6, -3.0)):
        np.testing.assert_allclose(
            heatmap_density(scale * heatmap + offset, 30, 40), density, rtol=1e-3, atol=1e-9
        )
    assert heatmap_density(np.full((3, 4), 2.5), 30, 40) is None


def test_the_maps_are_those_of_the_labels_that_the_classifier_says(run_dir, tmp_path):
    split = read_salicon(tmp_path, "train")
    found = predict_heatmaps(RunFolder(run_dir), split, batch_size=2)
    assert found.decided_by == "threshold 0.5"
    assert set(found.maps) == {
        f"{stream}{name}"
        for stream in ("", "trunk_", "branch_")
        for name in ("decided_labels", "top_label")
    }
    folder = RunFolder(run_dir)
    image = ImageSource(split, image_settings(folder.read_config())).resized(3)
    outputs = load_network(folder.network_file)(image[None])
    heatmaps, logits = outputs["heatmaps"][0].numpy(), outputs["logits"][0].numpy()
    top = heatmap_density(heatmaps[..., logits.argmax()], HEIGHT, WIDTH)
    np.testing.assert_allclose(found.maps["top_label"](3), top, atol=1e-6)
    of_decided = np.moveaxis(heatmaps, 2, 0)[logits > 0]
    decided = [heatmap_density(each, HEIGHT, WIDTH) for each in of_decided]
    assert 1 < len(decided) < len(logits)
    mean = np.mean(decided, axis=0)
    np.testing.assert_allclose(found.maps["decided_labels"](3), mean, atol=1e-6)


def test_they_are_scored_beside_the_baselines(run_dir, tmp_path):
    folder = RunFolder(run_dir)
    names = folder.read_label_names()
    never = np.ones(len(names), np.float32)
    rule = DecisionRule(names, never, Calibration.identity(len(names)), {})
    write_decision_rule(folder, rule)
    config = SaliencyEvaluationConfig(
        classifier_run=run_dir, data_dir=str(tmp_path), split="train", human_observers=1
    )
    evaluation = evaluate_saliency(config)
    assert evaluation["scores"]["top_label"]["nss"]["images"] == 5
    assert evaluation["scores"]["decided_labels"] == {}
    assert {"centre_bias", "one_observer_out", "chance"} < set(evaluation["scores"])
    assert folder.read_json("saliency_evaluation.json") == evaluation
    *_, last = format_saliency_table(evaluation).splitlines()
    assert "decided by the run's tuned thresholds (5 images without any)" in last


def test_a_classifier_needs_fixations():
    with pytest.raises(ValueError, match="classifier_run needs data_dir"):
        SaliencyEvaluationConfig(classifier_run="run")
