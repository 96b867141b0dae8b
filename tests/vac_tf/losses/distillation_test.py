"""What is learnt from a teacher: against slow NumPy, and properties of both terms."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.geometry.resampling import resize_matrix
from vac_tf.losses.distillation import heatmaps_distillation, logits_distillation

RANDOM = np.random.default_rng(0)
TEACHER, STUDENT = RANDOM.normal(0, 3, (2, 5, 7)).astype(np.float32)
MAPS, OTHER_MAPS = RANDOM.normal(0, 2, (2, 5, 4, 3, 7)).astype(np.float32)
AGE, COLOUR = LabelGroup("age", (1, 2, 4)), LabelGroup("colour", (0, 5), at_most_one=True)
EXTREMES = np.array([[-1e30, -1e4, -100, 0, 100, 1e4, 1e30]], np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_logits_are_the_divergence_of_softened_answers(temperature):
    given, own = (scipy.special.expit(x / temperature) for x in (TEACHER, STUDENT))
    divergence = scipy.special.rel_entr(given, own) + scipy.special.rel_entr(1 - given, 1 - own)
    expected = temperature**2 * divergence.sum(axis=1)
    found = logits_distillation(TEACHER, STUDENT, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert found.dtype == tf.float32


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_groups_are_the_divergence_of_their_softmax_and_add_up(temperature):
    def divergence(columns, none):
        pair = (np.pad(x[:, columns], ((0, 0), (0, none))) for x in (TEACHER, STUDENT))
        given, own = (scipy.special.softmax(x / temperature, axis=1) for x in pair)
        return temperature**2 * scipy.special.rel_entr(given, own).sum(axis=1)

    alone = logits_distillation(TEACHER[:, [3, 6]], STUDENT[:, [3, 6]], temperature).numpy()
    expected = alone + divergence([1, 2, 4], 0) + divergence([0, 5], 1)
    found = logits_distillation(TEACHER, STUDENT, temperature, (AGE, COLOUR))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_label_alone_with_none_is_a_binary_answer():
    alone = LabelGroup("hat", (0,), at_most_one=True)
    one = TEACHER[:, :1], STUDENT[:, :1], 2.0
    np.testing.assert_allclose(
        logits_distillation(*one, (alone,)), logits_distillation(*one), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("groups", [(), (AGE, COLOUR)])
def test_logits_cost_nothing_where_equal_and_more_than_nothing_elsewhere(groups):
    np.testing.assert_array_equal(logits_distillation(TEACHER, TEACHER, 2.0, groups), 0.0)
    assert (logits_distillation(TEACHER, STUDENT, 2.0, groups).numpy() > 0).all()


def test_a_shift_of_a_group_of_exactly_one_changes_nothing():
    group = (LabelGroup("all", (0, 1, 2)),)
    given, own = TEACHER[:, :3], STUDENT[:, :3]
    expected = logits_distillation(given, own, 1.0, group)
    found = logits_distillation(given + 5, own, 1.0, group)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_gradient_keeps_its_size_at_high_temperatures():
    """What T^2 is for: far up it is a quarter of the difference of the logits (Hinton, Eq. 4)."""
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(logits_distillation(TEACHER, student, 1000.0))
    gradient = tape.gradient(loss, student)
    np.testing.assert_allclose(gradient, (STUDENT - TEACHER) / 4, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("groups", [(), (AGE, COLOUR)])
def test_the_gradient_goes_to_the_student_only(groups):
    values = [tf.Variable(x) for x in (TEACHER, STUDENT, MAPS, OTHER_MAPS)]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(logits_distillation(values[0], values[1], 2.0, groups))
        loss += tf.reduce_sum(heatmaps_distillation(values[2], values[3]))
    of_logits, logits, of_maps, maps = tape.gradient(loss, values)
    assert of_logits is None and of_maps is None
    assert np.abs(logits).max() > 0 and np.abs(maps).max() > 0


@pytest.mark.parametrize("groups", [(), (AGE, COLOUR)])
def test_extreme_logits_give_finite_losses_and_gradients(groups):
    student = tf.Variable(np.ascontiguousarray(EXTREMES[:, ::-1]))
    with tf.GradientTape() as tape:
        loss = logits_distillation(EXTREMES, student, 2.0, groups)
    assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, student)).all()


def test_heatmaps_are_two_minus_twice_the_cosine():
    def norm_one(maps):
        return maps / np.sqrt((maps**2).sum(axis=(1, 2), keepdims=True))

    cosines = (norm_one(MAPS) * norm_one(OTHER_MAPS)).sum(axis=(1, 2))
    found = heatmaps_distillation(MAPS, OTHER_MAPS)
    np.testing.assert_allclose(found, (2 - 2 * cosines).mean(axis=1), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e30])
def test_only_where_a_map_is_high_counts_not_how_high(scale):
    np.testing.assert_allclose(heatmaps_distillation(MAPS, MAPS * scale), 0.0, atol=1e-6)
    np.testing.assert_array_equal(heatmaps_distillation(MAPS, MAPS), 0.0)
    np.testing.assert_allclose(heatmaps_distillation(MAPS, -MAPS), 4.0, rtol=1e-5)


def test_a_finer_map_of_the_teacher_is_resized_to_the_students_grid():
    fine = RANDOM.normal(0, 1, (2, 7, 6, 3)).astype(np.float32)
    by_hand = np.einsum("bhwc,yh,xw->byxc", fine, resize_matrix(7, 4), resize_matrix(6, 3))
    np.testing.assert_allclose(heatmaps_distillation(fine, by_hand), 0.0, atol=1e-5)
    constant = heatmaps_distillation(np.full((1, 7, 7, 2), 5.0), np.full((1, 3, 3, 2), 0.1))
    np.testing.assert_allclose(constant, 0.0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-4, 1e30])
def test_flat_and_huge_maps_give_finite_losses_and_gradients(value):
    maps = tf.Variable(np.full((1, 4, 3, 7), value, np.float32))
    with tf.GradientTape() as tape:
        loss = heatmaps_distillation(MAPS[:1], maps)
    assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, maps)).all()


def test_half_precision_is_computed_in_float32():
    halves = [tf.cast(x, tf.bfloat16) for x in (TEACHER, STUDENT, MAPS, OTHER_MAPS)]
    assert logits_distillation(*halves[:2]).dtype == tf.float32
    assert heatmaps_distillation(*halves[2:]).dtype == tf.float32


def test_unknown_grids_and_other_labels_are_refused():
    with pytest.raises(ValueError, match="same labels"):
        heatmaps_distillation(MAPS, MAPS[..., :3])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 7))])
    def of_any_size(maps):
        return heatmaps_distillation(MAPS, maps)

    with pytest.raises(ValueError, match="known grids"):
        of_any_size.get_concrete_function()


def test_batches_of_unknown_size_have_the_same_loss():
    shape = (None, *MAPS.shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape), tf.TensorSpec(shape)])
    def of_any_batch(teacher, student):
        return heatmaps_distillation(teacher, student)

    teacher = np.flip(MAPS, axis=0).copy()
    np.testing.assert_allclose(
        of_any_batch(teacher, MAPS), heatmaps_distillation(teacher, MAPS), rtol=1e-6
    )


def test_the_temperature_is_one_unless_told_otherwise():
    teacher, student = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        logits_distillation(teacher, student), logits_distillation(teacher, student, 1.0)
    )
