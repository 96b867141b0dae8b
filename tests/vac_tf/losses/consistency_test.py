"""Forms of consistency: against slow NumPy on literally up-sampled maps, and their properties."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, rel_entr, softmax

from vac_tf.configs.training.method import MethodSettings
from vac_tf.losses.consistency import FORMS, get_form

EVERY = tuple(FORMS)
NEED_CELLS = ("variance_normalized", "hard_pixels", "jensen_shannon", "acvc")
OF_PRESENT_LABELS = ("positive_squared_error", "positive_absolute_error", "hard_pixels", "acvc")


def compare(name, *arguments):
    return FORMS[name].compare(*arguments).numpy()


@pytest.fixture
def maps():
    """Two stacks `[3, 7, 7, 5]` and labels `[3, 5]`: some of all kinds, none present, all."""
    first, second = 2.0 * np.random.default_rng(0).standard_normal((2, 3, 7, 7, 5)) + 0.3
    labels = np.array([[1, 0, np.nan, 1, 0], [0, 0, 0, np.nan, 0], [1, 1, 1, 1, 1]])
    return first.astype("float32"), second.astype("float32"), labels.astype("float32")


# ---- The same in slow NumPy: one example, one label, a flat list of cells of one size


def mean_where(chosen, values):
    values = [value for value, is_chosen in zip(values, chosen, strict=True) if is_chosen]
    return np.mean(values) if values else 0.0


def squares(first, second):
    return [((a - b) ** 2).mean() for a, b in zip(first, second, strict=True)]


def slow_balanced(first, second, labels):
    errors = squares(first, second)
    kinds = [mean_where(labels == kind, errors) for kind in (0, 1) if (labels == kind).any()]
    return np.mean(kinds)


def slow_variance(first, second, labels):
    del labels
    variances = [np.var(cells) for cells in (*first, *second)]
    return np.mean(squares(first, second)) / np.mean(variances)


def slow_hard_pixels(first, second, labels):
    def normalized(cells):
        cells = np.maximum(cells, 0.0)
        return (cells - cells.min()) / (cells.max() - cells.min() + 1e-5)

    def hardest(a, b):
        errors = np.sort(np.abs(normalized(a) - normalized(b)))[::-1]
        whole, rest = divmod(len(errors), 5)  # The last cell of the fifth counts in part.
        return (errors[:whole].sum() + errors[whole] * rest / 5) / (len(errors) / 5)

    return mean_where(labels == 1, [hardest(a, b) for a, b in zip(first, second, strict=True)])


def slow_jensen_shannon(first, second):
    first, second = softmax(first), softmax(second)
    mixture = (first + second) / 2
    return (rel_entr(first, mixture) + rel_entr(second, mixture)).sum() / 2


def slow_acvc(first, second, labels):
    divergences = [slow_jensen_shannon(a, b) for a, b in zip(first, second, strict=True)]
    absent = sorted(np.flatnonzero(labels == 0), key=lambda label: -first[label].mean())[:3]
    uniform = np.full(first.shape[1], 1 / first.shape[1])
    peaked = [rel_entr(uniform, softmax(side[n])).sum() for n in absent for side in (first, second)]
    return mean_where(labels == 1, divergences) + sum(peaked) / 2


SLOW = {
    "squared_error": lambda a, b, labels: np.mean(squares(a, b)),
    "variance_normalized": slow_variance,
    "positive_squared_error": lambda a, b, labels: mean_where(labels == 1, squares(a, b)),
    "balanced_squared_error": slow_balanced,
    "positive_absolute_error": lambda a, b, labels: mean_where(
        labels == 1, np.abs(a - b).mean(axis=1)
    ),
    "hard_pixels": slow_hard_pixels,
    "jensen_shannon": lambda a, b, labels: np.mean(
        [slow_jensen_shannon(*pair) for pair in zip(a, b, strict=True)]
    ),
    "acvc": slow_acvc,
    "sigmoid_cells": lambda a, b, labels: np.mean(squares(expit(a), expit(b))),
}


def up_sampled(maps, rows, columns):
    """`[B, L, rows * columns]`, every cell repeated."""
    maps = np.repeat(np.asarray(maps, np.float64), rows // maps.shape[1], axis=1)
    maps = np.repeat(maps, columns // maps.shape[2], axis=2)
    return np.moveaxis(maps, -1, 1).reshape(len(maps), maps.shape[-1], -1)


@pytest.mark.parametrize("grid", [(7, 7), (6, 6), (3, 14)])
@pytest.mark.parametrize("name", EVERY)
def test_every_form_equals_slow_numpy(maps, name, grid):
    first, second, labels = maps
    second = second[:, : grid[0], : min(grid[1], 7)].repeat(max(grid[1] // 7, 1), axis=2)
    mask = np.ones((7, 7))
    mask[:2], mask[:, 5:] = 0, 0
    common = np.lcm(7, grid)
    flat_mask = up_sampled(mask[None, :, :, None], *common)[0, 0] == 1
    for cell_mask, kept in ((None, slice(None)), (mask, flat_mask)):
        pairs = (up_sampled(side, *common)[:, :, kept] for side in (first, second))
        rows = zip(*pairs, labels, strict=True)
        expected = [SLOW[name](*row) for row in rows]
        result = compare(name, first, second, labels, cell_mask)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=3e-5)


# ---- Properties


@pytest.mark.parametrize("name", EVERY)
def test_equal_maps_cost_nothing_and_sides_may_be_exchanged(maps, name):
    first, second, labels = maps
    if name == "acvc":  # Absent labels cost by themselves, and are chosen by the first side.
        labels = np.ones_like(labels)
    np.testing.assert_allclose(compare(name, first, first, labels), 0.0, atol=1e-6)
    repeated = first.repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(compare(name, first, repeated, labels), 0.0, atol=1e-6)
    forth, back = compare(name, first, second, labels), compare(name, second, first, labels)
    np.testing.assert_allclose(forth, back, rtol=1e-5)
    assert (forth[[0, 2]] > 0).all()


def test_what_each_form_does_not_see(maps):
    first, second, labels = maps
    for factor in (0.1, 10.0):
        for name in ("variance_normalized", "hard_pixels"):
            scaled = compare(name, factor * first, factor * second, labels)
            np.testing.assert_allclose(scaled, compare(name, first, second, labels), rtol=1e-3)
    # Each side and label by a factor of its own.
    factors = np.random.default_rng(1).uniform(0.5, 2.0, (2, 3, 1, 1, 5)).astype("float32")
    scaled = compare("hard_pixels", factors[0] * first, factors[1] * second, labels)
    np.testing.assert_allclose(scaled, compare("hard_pixels", first, second, labels), rtol=1e-3)
    for name in ("jensen_shannon", "acvc"):
        present = np.ones_like(labels)
        shifted = compare(name, first + 9.0 * factors[0], second - 5.0 * factors[1], present)
        np.testing.assert_allclose(shifted, compare(name, first, second, present), rtol=1e-4)
    assert compare("jensen_shannon", 100.0 * first, -100.0 * first).max() == pytest.approx(
        np.log(2.0), rel=1e-5
    )
    sure = compare("sigmoid_cells", np.full_like(first, 30.0), np.full_like(first, 90.0))
    np.testing.assert_allclose(sure, 0.0, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_cells_that_are_masked_out_cost_nothing(maps, name):
    first, second, labels = maps
    mask = np.ones((7, 7))
    mask[0] = 0
    result = compare(name, first, second, labels, mask)
    np.testing.assert_allclose(
        result, compare(name, first[:, 1:], second[:, 1:], labels), rtol=1e-5
    )
    for value in (1e4, -1e4):
        sides = [
            tf.Variable(np.concatenate([side[:, :1] * 0 + value, side[:, 1:]], axis=1))
            for side in (first, second)
        ]
        with tf.GradientTape() as tape:
            spoiled = FORMS[name].compare(*sides, labels, mask)
        np.testing.assert_allclose(spoiled, result, rtol=1e-5)
        for gradient in tape.gradient(spoiled, sides):
            assert (gradient[:, 0].numpy() == 0).all() and (gradient[:, 1:].numpy() != 0).any()


@pytest.mark.parametrize("name", EVERY)
def test_labels_that_do_not_count_get_no_gradient(maps, name):
    first, second, labels = maps
    variable = tf.Variable(first)
    with tf.GradientTape() as tape:
        result = FORMS[name].compare(variable, second, labels)
    moved = (tape.gradient(result, variable).numpy() != 0).any(axis=(1, 2))
    if name in ("squared_error", "variance_normalized", "jensen_shannon", "sigmoid_cells"):
        assert moved.all()
        np.testing.assert_array_equal(result, compare(name, first, second))
        return
    expected = labels == 1
    if name == "balanced_squared_error":
        expected |= labels == 0
    if name == "acvc":
        expected |= (labels == 0) & ((labels == 0).sum(axis=1) < 4)[:, None]
        lowest = np.argmin(np.where(labels[1] == 0, first[1].mean(axis=(0, 1)), np.inf))
        expected[1] = (labels[1] == 0) & (np.arange(5) != lowest)
    np.testing.assert_array_equal(moved, expected)
    known = np.array([0, 1, 3, 4])
    subset = compare(name, first[..., known], second[..., known], labels[:, known])
    np.testing.assert_allclose(result[:1], subset[:1], rtol=1e-5)
    if name in OF_PRESENT_LABELS:
        absent = np.nan_to_num(labels) * np.where(labels == 1, 1, np.nan)
        assert compare(name, first, second, absent)[1] == 0.0
    # Without labels, all are present.
    everywhere = compare(name, first, second, np.ones_like(labels))
    np.testing.assert_array_equal(compare(name, first, second), everywhere)


@pytest.mark.parametrize("name", (*OF_PRESENT_LABELS, "balanced_squared_error"))
def test_labels_of_mixtures_count_in_part(maps, name):
    first, second, _ = maps
    soft = np.array([0.7, 0.4, np.nan, 1.0, 0.0], "float32")
    alone = np.stack(
        [compare(name, first[..., n : n + 1], second[..., n : n + 1]) for n in range(5)], axis=1
    )
    result = compare(name, first, second, np.tile(soft, (3, 1)))
    expected = alone[:, [0, 1, 3]] @ [0.7, 0.4, 1.0] / 2.1
    if name == "balanced_squared_error":
        expected = (expected + alone[:, [0, 1, 4]] @ [0.3, 0.6, 1.0] / 1.9) / 2
    if name == "acvc":  # The one label that is wholly absent.
        expected += compare(name, first[..., 4:], second[..., 4:], np.zeros((3, 1)))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_values_and_gradients_are_finite_at_extremes(maps, name):
    _, random, labels = maps
    shape = random.shape
    extremes = [np.zeros(shape), np.full(shape, 1e4), np.full(shape, -1e4), 5e3 * random, random]
    extremes = np.concatenate(extremes).astype("float32")
    first, second = (
        np.concatenate(side)
        for side in ([extremes] * 5, [e for e in np.split(extremes, 5) for _ in range(5)])
    )
    first, second = tf.Variable(first), tf.Variable(second)
    with tf.GradientTape() as tape:
        result = FORMS[name].compare(first, second, np.tile(labels, (25, 1)))
    assert np.isfinite(result).all() and (result.numpy() >= 0).all()
    for gradient in tape.gradient(result, [first, second]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_finite_differences(maps, name):
    first, second, labels = maps
    direction = np.random.default_rng(2).standard_normal((2, *first.shape)).astype("float32")
    sides = [tf.Variable(first), tf.Variable(second)]
    with tf.GradientTape() as tape:
        result = FORMS[name].compare(*sides, labels)
    gradients = tape.gradient(result, sides)
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))

    def moved(step):
        pair = (
            up_sampled(side + step * d, 7, 7)
            for side, d in zip((first, second), direction.astype(np.float64), strict=True)
        )
        return sum(SLOW[name](*row) for row in zip(*pair, labels, strict=True))

    step = 1e-5
    assert slope == pytest.approx((moved(step) - moved(-step)) / (2 * step), rel=2e-3, abs=1e-4)


def test_every_form_runs_in_a_graph_in_half_precision(maps):
    first, second, labels = (tf.constant(value) for value in maps)
    half = tf.cast(first, tf.bfloat16), tf.cast(second, tf.bfloat16)

    @tf.function(autograph=False)
    def all_of(first, second):
        return {name: form.compare(first, second, labels) for name, form in FORMS.items()}

    for name, result in all_of(*half).items():
        assert result.dtype == tf.float32
        expected = compare(name, *(tf.cast(side, tf.float32) for side in half), labels)
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_xla_compiles_every_form_and_its_gradient(maps):
    first, second, labels = (tf.constant(value) for value in maps)
    mask = np.tri(7)

    def all_of(first, second):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(first)
            results = {n: form.compare(first, second, labels, mask) for n, form in FORMS.items()}
        return {name: (each, tape.gradient(each, first)) for name, each in results.items()}

    plain, compiled = all_of(first, second), tf.function(all_of, jit_compile=True)(first, second)
    for name, pair in plain.items():
        for value, expected in zip(compiled[name], pair, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6, err_msg=name)


# ---- Names


def test_the_config_offers_every_form():
    fields = {field.name: field for field in dataclasses.fields(MethodSettings)}
    field = fields["consistency_form"]
    assert field.metadata["choices"] == EVERY
    assert all(name in field.metadata["help"] for name in EVERY)


@pytest.mark.parametrize("name", NEED_CELLS)
def test_a_level_that_a_form_does_not_fit_is_refused_with_what_fits(name):
    with pytest.raises(
        ValueError, match=f"'{name}' does not fit consistency_level 'logits'.*squared"
    ):
        get_form(name, "logits")
    assert get_form(name, "heatmaps") is FORMS[name].compare


@pytest.mark.parametrize("name", [name for name in EVERY if name not in NEED_CELLS])
def test_forms_of_logits_are_those_of_maps_of_one_cell(maps, name):
    first, second, labels = (value[:, 0, 0] if value.ndim == 4 else value for value in maps)
    result = get_form(name, "logits")(first[:, None, None], second[:, None, None], labels)
    rows = zip(first[:, :, None], second[:, :, None], labels, strict=True)
    np.testing.assert_allclose(result, [SLOW[name](*row) for row in rows], rtol=1e-5)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="Unknown consistency_form 'cosine'. Expected one of: sq"):
        get_form("cosine", "heatmaps")
