"""Calibration of label groups: it finds what logits were moved by, and keeps to what it knows."""

import numpy as np
import pytest
import scipy.special

from vac_tf.configs.label_groups.group import NONE, LabelGroup
from vac_tf.decisions.calibration import Calibration, fit_calibration

GROUP, OPEN = LabelGroup("all", (0, 1, 2)), LabelGroup("all", (0, 1, 2), at_most_one=True)


def drawn(group, count=20_000):
    """Logits, and labels drawn from their probabilities; a fourth label stands alone."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (count, 4)).astype(np.float32)
    answers = np.pad(logits[:, :3], ((0, 0), (0, int(group.at_most_one))))
    probabilities = scipy.special.softmax(answers, axis=1)
    chosen = (random.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    alone = random.random(count) < scipy.special.expit(logits[:, 3])
    labels = np.eye(4)[chosen.clip(max=3)] * (chosen < 3)[:, None]
    labels[:, 3] = alone
    return labels, logits


@pytest.mark.parametrize("group", [GROUP, OPEN])
def test_it_undoes_what_was_done_to_the_logits(group):
    labels, logits = drawn(group)
    offsets = np.array([0.5, -0.25, -0.25, 0.0], np.float32)
    fitted = fit_calibration(labels, (logits - offsets) / 0.5, "platt", label_groups=(group,))
    np.testing.assert_allclose(fitted.scales, 0.5, rtol=0.05)
    np.testing.assert_allclose(fitted.offsets, offsets, atol=0.07)
    only_scale = fit_calibration(labels, logits / 0.5, "temperature", label_groups=(group,))
    np.testing.assert_allclose(only_scale.scales, 0.5, rtol=0.05)
    assert (only_scale.offsets == 0).all()
    true = Calibration.identity(4, (group,)).probabilities(logits)
    found = only_scale.probabilities(logits / 0.5)
    np.testing.assert_allclose(found, true, atol=0.02)


def test_labels_outside_the_groups_are_fitted_as_without_them():
    labels, logits = drawn(GROUP, 500)
    alone = fit_calibration(labels[:, 3:], logits[:, 3:], "platt", 10.0)
    fitted = fit_calibration(labels, logits, "platt", 10.0, (GROUP,))
    assert fitted.scales[3] == alone.scales[0] and fitted.offsets[3] == alone.offsets[0]


def test_a_group_without_images_stays_as_it_is():
    labels, logits = drawn(GROUP, 50)
    labels[:, :3] = np.nan
    for shrinkage in (0.0, 10.0):
        fitted = fit_calibration(labels, logits, "platt", shrinkage, (GROUP,))
        assert (fitted.scales[:3] == 1).all() and (fitted.offsets[:3] == 0).all()


def test_few_images_are_drawn_towards_no_change():
    labels, logits = drawn(GROUP, 20)
    near, far = (
        fit_calibration(labels, logits * 4, "temperature", shrinkage, (GROUP,)).scales[0]
        for shrinkage in (1e6, 0.0)
    )
    assert abs(near - 1) < 1e-3 < abs(far - 1)


@pytest.mark.parametrize("group", [GROUP, OPEN])
@pytest.mark.parametrize("shrinkage", [3.0, 40.0])
def test_scale_and_offsets_are_drawn_by_the_images_that_tell_of_them(group, shrinkage):
    labels, logits = drawn(group, 150)
    labels[:60, 0] = 0  # Fewer positives of the first, and images that say nothing.
    labels[:10, 2] = np.nan
    own = fit_calibration(labels, logits * 2 + 0.3, "platt", 0.0, (group,))
    fitted = fit_calibration(labels, logits * 2 + 0.3, "platt", shrinkage, (group,))
    answers = group.answers(labels)
    count = np.sum(answers >= 0) + (np.sum(answers == NONE) if group.at_most_one else 0)
    scale = (count * own.scales[0] + shrinkage) / (count + shrinkage)
    np.testing.assert_allclose(fitted.scales[:3], scale, rtol=1e-5)
    images = np.array([np.sum(answers == place) for place in range(3)])
    expected = images * own.offsets[:3] / (images + shrinkage)
    np.testing.assert_allclose(fitted.offsets[:3], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("group", [GROUP, OPEN])
def test_no_other_scale_or_offset_is_likelier(group):
    labels, logits = drawn(group, 200)
    found = fit_calibration(labels, logits * 1.7 - 0.2, "platt", 0.0, (group,))

    def loss(scale, offsets):
        moved = scale * (logits[:, :3] * 1.7 - 0.2) + offsets
        moved = np.pad(moved, ((0, 0), (0, int(group.at_most_one))))
        answers = group.answers(labels)
        usable = (answers >= 0) | ((answers == NONE) & group.at_most_one)
        chosen = np.where(answers == NONE, 3, answers)[usable]
        log_probabilities = scipy.special.log_softmax(moved[usable], axis=1)
        return -log_probabilities[np.arange(len(chosen)), chosen].mean()

    best = loss(found.scales[0], found.offsets[:3])
    for step in (-0.02, 0.02):
        assert loss(found.scales[0] + step, found.offsets[:3]) > best - 1e-7
        for label in range(3):
            moved = found.offsets[:3] + step * np.eye(3)[label]
            assert loss(found.scales[0], moved) > best - 1e-7
    if not group.at_most_one:
        assert found.offsets[:3].sum() == pytest.approx(0.0, abs=1e-5)
