"""A course of training from kept networks: which epochs, which pairs, and where the maps lie."""

import os
import shutil

import numpy as np
import pytest

from tests.vac_tf.analysis.analysis_runs import write_classifier_run
from vac_tf.analysis.attention.course_figure import draw_course
from vac_tf.analysis.attention.training_course import measure_course
from vac_tf.analysis.inputs import read_split_with_objects
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def run_dir(tmp_path, tiny_settings):
    """A run that kept three networks; the last one says the opposite of the first."""
    settings = {"data_dir": tiny_settings["data_dir"], "scenes_train_images": 48}
    run_dir = write_classifier_run(
        tmp_path / "run", settings | {"scenes_image_size": 32, "image_size": 32}
    )
    folder = RunFolder(run_dir)
    (tmp_path / "run" / "epochs").mkdir()
    for epoch in (1, 2):
        shutil.copy(folder.network_file, folder.epoch_network_file(epoch))
    network = load_network(folder.network_file)
    head = network.layers[-1]
    head.set_weights([-weight for weight in head.get_weights()])
    save_network(network, folder.epoch_network_file(10))
    return run_dir


def test_every_kept_epoch_is_measured_on_every_pair(run_dir, tmp_path):
    _, split = read_split_with_objects(AnalysisConfig(run_dir=run_dir, max_images=4))
    course = measure_course(run_dir, split, batch_size=3)
    assert course.epochs.tolist() == [1, 2, 10]
    pairs = list(zip(course.images, course.labels, strict=True))
    assert pairs == [tuple(pair) for pair in np.argwhere(split.labels == 1)]
    first, same, opposite = course.scores
    np.testing.assert_array_equal(first, same)
    np.testing.assert_allclose(opposite, 1 - first, atol=1e-6)
    np.testing.assert_array_equal(course.inside[0], course.inside[1])
    shares = course.inside, course.inside_mirrored
    assert all((share > 0).all() and (share < 1).all() for share in shares)
    assert not np.allclose(*shares)
    draw_course(course.epochs, course.scores, *shares, str(tmp_path / "course.png"))
    assert (tmp_path / "course.png").stat().st_size > 0


def test_too_few_networks_are_refused(run_dir):
    _, split = read_split_with_objects(AnalysisConfig(run_dir=run_dir, max_images=2))
    os.remove(RunFolder(run_dir).epoch_network_file(2))
    with pytest.raises(ValueError, match="2 epochs, at least 3.*--keep_epoch_networks"):
        measure_course(run_dir, split)
