"""Losses: against independent double-precision NumPy, and properties that must hold exactly."""

import numpy as np
import pytest
import tensorflow as tf

from vac_tf import losses


def reference_cross_entropy(labels, logits, positive_ratio):
    """Equations 2 and 3 of the VAC paper, written again in double precision."""
    labels, logits, p = (np.asarray(v, np.float64) for v in (labels, logits, positive_ratio))
    log_positive, log_negative = -np.logaddexp(0.0, -logits), -np.logaddexp(0.0, logits)
    weighted = np.exp(1 - p) * labels * log_positive + np.exp(p) * (1 - labels) * log_negative
    return -weighted.sum(axis=1)


def repeat_to_common_grid(heatmaps, rows, columns):
    """Literal nearest up-sampling: every cell repeated."""
    heatmaps = np.repeat(np.asarray(heatmaps, np.float64), rows // heatmaps.shape[1], axis=1)
    return np.repeat(heatmaps, columns // heatmaps.shape[2], axis=2)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def examples(generator):
    labels = (generator.random((64, 14)) < 0.3).astype("float32")
    logits = (4.0 * generator.standard_normal((64, 14))).astype("float32")
    ratio = generator.random(14).astype("float32")
    return labels, logits, ratio


def test_weighted_cross_entropy_equals_double_precision(examples):
    result = losses.weighted_sigmoid_cross_entropy(*examples).numpy()
    np.testing.assert_allclose(result, reference_cross_entropy(*examples), rtol=1e-6)


def test_cross_entropy_without_weights_equals_double_precision(examples):
    labels, logits, _ = examples
    # exp(1 - p) = exp(p) = sqrt(e) at p = 1/2.
    expected = reference_cross_entropy(labels, logits, np.full(14, 0.5)) / np.exp(0.5)
    np.testing.assert_allclose(losses.sigmoid_cross_entropy(labels, logits), expected, rtol=1e-6)


def test_half_precision_logits_are_computed_in_float32(examples):
    labels, logits, ratio = examples
    half = tf.cast(logits, tf.bfloat16)
    result = losses.weighted_sigmoid_cross_entropy(labels, half, ratio)
    assert result.dtype == tf.float32
    expected = reference_cross_entropy(labels, tf.cast(half, tf.float32).numpy(), ratio)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("logit", [1e4, -1e4, 88.0, -89.0, 0.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_losses_and_gradients_are_finite_at_extreme_logits(logit, label):
    labels = tf.fill((2, 3), label)
    ratio = tf.constant([0.0, 0.5, 1.0])
    logits = tf.fill((2, 3), logit)
    pairs = tf.stack([-logits / 2, logits / 2], axis=-1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, pairs])
        weighted = losses.weighted_sigmoid_cross_entropy(labels, logits, ratio)
        paired = losses.multiple_cross_entropy(labels, pairs)
    weights = np.exp(1 - ratio) if label else np.exp(ratio)
    error = max((-logit if label else logit), 0.0)
    if abs(logit) > 80:
        np.testing.assert_allclose(weighted, error * weights.sum() * np.ones(2), rtol=1e-6)
    for value in (weighted, paired, tape.gradient(weighted, logits), tape.gradient(paired, pairs)):
        assert np.isfinite(value).all()
    sigmoid = 1 / (1 + np.exp(-np.clip(logit, -700, 700)))
    np.testing.assert_allclose(
        tape.gradient(weighted, logits)[0], (sigmoid - label) * weights, rtol=1e-5, atol=1e-30
    )


def test_mask_equals_subset_of_labels(examples, generator):
    labels, logits, ratio = examples
    known = np.array([3, 5, 6, 13])
    mask = np.zeros_like(labels)
    mask[:, known] = 1.0
    unknown = np.where(mask == 1, labels, np.nan).astype("float32")
    logits_variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        masked = losses.weighted_sigmoid_cross_entropy(unknown, logits_variable, ratio, mask)
    subset = losses.weighted_sigmoid_cross_entropy(labels[:, known], logits[:, known], ratio[known])
    np.testing.assert_allclose(masked, subset, rtol=1e-6)
    gradient = tape.gradient(masked, logits_variable).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[mask == 0] == 0).all() and (gradient[mask == 1] != 0).all()


def test_nothing_known_costs_nothing():
    labels = np.full((2, 3), np.nan, "float32")
    result = losses.sigmoid_cross_entropy(labels, np.ones((2, 3), "float32"), np.zeros((2, 3)))
    np.testing.assert_array_equal(result, [0.0, 0.0])


def test_pairs_equal_sigmoid_cross_entropy_of_the_difference(examples, generator):
    labels, _, _ = examples
    pairs = tf.Variable(4.0 * generator.standard_normal((64, 14, 2)), dtype=tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        paired = losses.multiple_cross_entropy(labels, pairs)
        single = losses.sigmoid_cross_entropy(labels, pairs[..., 1] - pairs[..., 0])
    np.testing.assert_allclose(paired, single, rtol=1e-6)
    np.testing.assert_allclose(
        tape.gradient(paired, pairs), tape.gradient(single, pairs), rtol=1e-5, atol=2e-7
    )


def test_consistency_equals_double_precision(generator):
    first, second = generator.standard_normal((2, 5, 7, 7, 14)).astype("float32")
    expected = ((first.astype(np.float64) - second) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.attention_consistency(first, second), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "first_grid, second_grid",
    [((7, 7), (6, 6)), ((5, 5), (4, 4)), ((6, 6), (3, 3)), ((7, 5), (6, 8)), ((1, 1), (3, 2))],
)
def test_consistency_of_two_grids_equals_literal_upsampling(generator, first_grid, second_grid):
    first = generator.standard_normal((3, *first_grid, 4)).astype("float32")
    second = generator.standard_normal((3, *second_grid, 4)).astype("float32")
    common = np.lcm(first_grid, second_grid)
    difference = repeat_to_common_grid(first, *common) - repeat_to_common_grid(second, *common)
    if first_grid == (7, 7):
        assert difference.shape[1:3] == (42, 42)
    expected = (difference**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.attention_consistency(first, second), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.attention_consistency(second, first), expected, rtol=1e-6)


def test_consistency_mask_leaves_cells_of_the_first_grid_out(generator):
    first = generator.standard_normal((3, 7, 7, 4)).astype("float32")
    second = generator.standard_normal((3, 6, 6, 4)).astype("float32")
    mask = np.zeros((7, 7))
    mask[2:, 1:6] = 1
    large_mask = repeat_to_common_grid(mask[None, :, :, None], 42, 42)[0, :, :, 0] == 1
    difference = repeat_to_common_grid(first, 42, 42) - repeat_to_common_grid(second, 42, 42)
    expected = (difference**2)[:, large_mask].mean(axis=(1, 2))
    result = losses.attention_consistency(first, second, mask)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    spoiled = np.where(mask[None, :, :, None] == 1, first, 1e6).astype("float32")
    np.testing.assert_array_equal(losses.attention_consistency(spoiled, second, mask), result)


def test_equal_heatmaps_are_exactly_consistent(generator):
    heatmaps = generator.standard_normal((2, 3, 3, 4)).astype("float32")
    np.testing.assert_array_equal(losses.attention_consistency(heatmaps, heatmaps), [0.0, 0.0])
    repeated = repeat_to_common_grid(heatmaps, 6, 9).astype("float32")
    np.testing.assert_array_equal(losses.attention_consistency(heatmaps, repeated), [0.0, 0.0])


def test_consistency_gives_gradients_to_both_sides(generator):
    first = tf.Variable(generator.standard_normal((2, 7, 7, 3)), dtype=tf.float32)
    second = tf.Variable(generator.standard_normal((2, 6, 6, 3)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(losses.attention_consistency(first, second))
    first_gradient, second_gradient = (g.numpy() for g in tape.gradient(total, [first, second]))
    assert (first_gradient != 0).all() and (second_gradient != 0).all()
    # A common shift of both changes nothing.
    sums = first_gradient.sum(axis=(1, 2)), -second_gradient.sum(axis=(1, 2))
    np.testing.assert_allclose(*sums, rtol=1e-4, atol=1e-6)


def test_consistency_refuses_other_labels_and_unknown_grids():
    with pytest.raises(ValueError, match="equal label counts"):
        losses.attention_consistency(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 4)))

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))] * 2)
    def in_graph(first, second):
        return losses.attention_consistency(first, second)

    with pytest.raises(ValueError, match="known sizes"):
        in_graph(tf.zeros((1, 2, 2, 3)), tf.zeros((1, 2, 2, 3)))
