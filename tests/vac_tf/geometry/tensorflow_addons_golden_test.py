"""Our rotation, translation and F1 against what tensorflow-addons computed.

The goldens are written by tests/goldens/write_tensorflow_addons_goldens.py.
"""

import re

import numpy as np
import pytest

from tools.python_imports import REPOSITORY
from vac_tf.geometry.transforms import Rotation, Translation
from vac_tf.metrics.multilabel import evaluate_multilabel

FOLDER = REPOSITORY / "tests"
INPUTS = ("even_images", "odd_images", "heatmaps")
STRIDE = 32


@pytest.fixture(scope="module")
def goldens():
    with np.load(FOLDER / "goldens" / "tensorflow_addons.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_rotation_equals_tensorflow_addons(goldens, name, quarter_turns):
    values, rotation = goldens[name], Rotation(quarter_turns)
    transform = rotation.heatmaps if name == "heatmaps" else rotation.images
    ours = np.asarray(transform(values))
    np.testing.assert_array_equal(ours, goldens[f"{name}_rotated_{quarter_turns}_nearest"])
    # tensorflow-addons interpolates at positions that the float32 sine of the angle leaves about
    # 1e-6 pixels off the grid, on values of up to 255.
    bilinear = goldens[f"{name}_rotated_{quarter_turns}_bilinear"]
    np.testing.assert_allclose(ours, bilinear, atol=1e-3)


def test_the_three_rotations_differ(goldens):
    for name in INPUTS:
        turned = [goldens[f"{name}_rotated_{quarter_turns}_nearest"] for quarter_turns in (1, 2, 3)]
        stack = [goldens[name], *turned]
        equal = [(i, j) for i in range(4) for j in range(i) if np.array_equal(stack[i], stack[j])]
        assert equal == []


@pytest.mark.parametrize("name", INPUTS)
def test_translation_equals_tensorflow_addons(goldens, name):
    for index, (rows, columns) in enumerate(goldens["shifts"].tolist()):
        if name == "heatmaps":
            translation = Translation(rows * STRIDE, columns * STRIDE)
            ours = translation.heatmaps(goldens[name], STRIDE)
        else:
            ours = Translation(rows, columns).images(goldens[name])
        np.testing.assert_array_equal(
            np.asarray(ours), goldens[f"{name}_translated_{index}"], err_msg=f"{rows}, {columns}"
        )


def test_translation_mask_marks_the_cells_that_tensorflow_addons_fills(goldens):
    for index, (rows, columns) in enumerate(goldens["shifts"].tolist()):
        moved = goldens[f"heatmaps_translated_{index}"]
        mask = Translation(rows * STRIDE, columns * STRIDE).valid_mask(7, 7, STRIDE)
        np.testing.assert_array_equal(np.asarray(mask, bool), np.all(moved != 0, axis=(0, 3)))


def test_f1_of_the_single_labels_equals_tensorflow_addons(goldens):
    per_label = evaluate_multilabel(goldens["f1_labels"], goldens["f1_scores"])["per_label"]
    # A label without positives: undefined here, 0 there.
    assert [label["F1"] is None for label in per_label] == [False] * 5 + [True, False]
    ours = [label["F1"] or 0.0 for label in per_label]
    np.testing.assert_allclose(ours, goldens["f1_per_label"], rtol=1e-6)


def test_micro_f1_equals_tensorflow_addons(goldens):
    group = evaluate_multilabel(goldens["f1_labels"], goldens["f1_scores"])["label_based"]
    assert group["F1-O"] == pytest.approx(float(goldens["f1_micro"]), rel=1e-6)


def test_macro_f1_equals_tensorflow_addons_up_to_labels_without_positives(goldens):
    evaluation = evaluate_multilabel(goldens["f1_labels"], goldens["f1_scores"])
    macro = evaluation["label_based"]["F1-C"]
    assert evaluation["conventions"]["labels_without_positives"] == ["5"]
    # tensorflow-addons divides by all 7 labels, we by the 6 that have positives.
    assert macro * 6 / 7 == pytest.approx(float(goldens["f1_macro"]), rel=1e-6)


def test_f1_goldens_hold_scores_of_exactly_the_threshold(goldens):
    at_threshold = goldens["f1_scores"] == 0.5
    assert at_threshold.sum() > 10
    moved_up = np.where(at_threshold, np.float32(0.51), goldens["f1_scores"])
    group = evaluate_multilabel(goldens["f1_labels"], moved_up)["label_based"]
    assert group["F1-O"] != pytest.approx(float(goldens["f1_micro"]), rel=1e-3)


def test_goldens_come_from_the_pinned_versions(goldens):
    pins = (FOLDER.parent / "requirements-tfa.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", pins, re.MULTILINE))
    assert str(goldens["tensorflow_version"]) == pinned["tensorflow-cpu"]
    assert str(goldens["tensorflow_addons_version"]) == pinned["tensorflow-addons"]
