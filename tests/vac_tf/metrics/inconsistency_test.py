"""Inconsistency of heatmaps: against the literal common grid, and by its properties."""

import math

import numpy as np
import pytest

from vac_tf.metrics.inconsistency import InconsistencyAccumulator, mean_squared_map_difference


def random_heatmaps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def literal_mean_squared_map_difference(first, second, mask=None):
    """Up-samples both to the least common multiple of their grids by repeating cells."""
    mask = np.ones(first.shape[1:3], bool) if mask is None else mask
    up_sampled = []
    for heatmaps in (first, second, mask[None, :, :, None]):
        for axis in (1, 2):
            size = math.lcm(first.shape[axis], second.shape[axis])
            heatmaps = np.repeat(heatmaps, size // heatmaps.shape[axis], axis=axis)
        up_sampled.append(heatmaps)
    first, second, mask = up_sampled
    return ((first - second) ** 2)[:, mask[0, :, :, 0]].mean(axis=1, dtype=np.float64)


@pytest.mark.parametrize(
    "first_grid, second_grid",
    [((7, 7), (6, 6)), ((5, 5), (4, 4)), ((6, 4), (4, 6)), ((7, 3), (7, 5)), ((1, 2), (3, 4))],
)
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_literal_common_grid(first_grid, second_grid, masked):
    first = random_heatmaps(3, *first_grid, 2).astype(np.float64)
    second = random_heatmaps(3, *second_grid, 2, seed=1).astype(np.float64)
    mask = np.random.default_rng(2).random(first_grid) < 0.6 if masked else None
    if masked:
        mask[0, 0] = True
    np.testing.assert_allclose(
        mean_squared_map_difference(first, second, mask),
        literal_mean_squared_map_difference(first, second, mask),
        rtol=1e-12,
    )


def test_equal_grids_give_the_plain_mean_square():
    first, second = random_heatmaps(2, 7, 7, 3), random_heatmaps(2, 7, 7, 3, seed=1)
    expected = np.mean((first.astype(np.float64) - second) ** 2, axis=(1, 2))
    np.testing.assert_allclose(mean_squared_map_difference(first, second), expected, rtol=1e-12)


def test_symmetric_in_the_two_grids():
    first, second = random_heatmaps(2, 7, 5, 3), random_heatmaps(2, 6, 4, 3, seed=1)
    np.testing.assert_allclose(
        mean_squared_map_difference(first, second),
        mean_squared_map_difference(second, first),
        rtol=1e-12,
    )


def test_equal_constants_on_different_grids_are_exactly_consistent():
    first, second = np.full((1, 7, 7, 2), 0.1, np.float32), np.full((1, 6, 6, 2), 0.1, np.float32)
    assert not mean_squared_map_difference(first, second).any()


def test_batches_equal_the_whole_whatever_their_sizes():
    first, second = random_heatmaps(10, 7, 7, 4), random_heatmaps(10, 6, 6, 4, seed=1)
    whole, batches = InconsistencyAccumulator(), InconsistencyAccumulator()
    whole.update(first, second)
    for start, stop in ((0, 1), (1, 7), (7, 10)):
        batches.update(first[start:stop], second[start:stop])
    assert batches.result() == pytest.approx(whole.result(), rel=1e-12)
    assert whole.result()["raw"] == pytest.approx(
        literal_mean_squared_map_difference(first.astype(np.float64), second).mean()
    )


def test_relative_divides_by_the_mean_of_each_maps_own_variance():
    first, second = random_heatmaps(5, 7, 7, 4), random_heatmaps(5, 7, 7, 4, seed=1)
    accumulator = InconsistencyAccumulator()
    accumulator.update(first, second)
    own_variance = first.reshape(5, 49, 4).astype(np.float64).var(axis=1).mean()
    result = accumulator.result()
    assert result["relative"] == pytest.approx(result["raw"] / own_variance, rel=1e-12)
    # Unrelated maps of equal mean and variance: 2 in expectation.
    assert result["relative"] == pytest.approx(2, rel=0.15)


def test_relative_is_blind_to_scale_and_to_offsets_between_labels():
    first, second = random_heatmaps(5, 7, 7, 4), random_heatmaps(5, 6, 6, 4, seed=1)
    offsets = 100 * np.arange(4)
    results = []
    for scale, offset in ((1, 0), (8, 0), (1, offsets)):
        accumulator = InconsistencyAccumulator()
        accumulator.update(scale * first + offset, scale * second + offset)
        results.append(accumulator.result())
    assert results[1]["raw"] == pytest.approx(64 * results[0]["raw"])
    assert results[1]["relative"] == pytest.approx(results[0]["relative"])
    assert results[2]["relative"] == pytest.approx(results[0]["relative"], rel=1e-4)


def test_masked_cells_cannot_change_anything():
    first, second = random_heatmaps(3, 6, 6, 2), random_heatmaps(3, 6, 6, 2, seed=1)
    mask = np.ones((6, 6), bool)
    mask[:, 0] = False
    results = []
    for value in (0, 1e3):
        accumulator = InconsistencyAccumulator()
        accumulator.update(np.where(mask[None, :, :, None], first, value), second, mask)
        results.append(accumulator.result())
    assert results[0] == results[1]
    cut = InconsistencyAccumulator()
    cut.update(first[:, :, 1:], second[:, :, 1:])
    assert cut.result() == pytest.approx(results[0], rel=1e-12)


def test_original_heatmaps_are_the_unit_when_given():
    original, second = random_heatmaps(3, 6, 6, 2), random_heatmaps(3, 6, 6, 2, seed=1)
    shifted = np.roll(original, 1, axis=2)
    mask = np.ones((6, 6), bool)
    mask[:, 0] = False
    accumulator = InconsistencyAccumulator()
    accumulator.update(shifted, second, mask, original=original)
    variance = original.astype(np.float64).var(axis=(1, 2)).mean()
    result = accumulator.result()
    assert result["relative"] == pytest.approx(result["raw"] / variance, rel=1e-12)
    with pytest.raises(ValueError, match="same images and labels"):
        accumulator.update(shifted, second, mask, original=original[:2])


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7])
def test_constant_maps_have_no_unit(value):
    constant = np.full((2, 7, 7, 3), value)
    accumulator = InconsistencyAccumulator()
    accumulator.update(constant, constant[:, :6, :6] + 1)
    assert accumulator.result() == {"raw": pytest.approx(1), "relative": None}


def test_nothing_added_is_an_error():
    with pytest.raises(ValueError, match="update"):
        InconsistencyAccumulator().result()


MAPS = random_heatmaps(2, 3, 3, 4)


@pytest.mark.parametrize(
    "first, second, mask, message",
    [
        (MAPS, MAPS[:1], None, r"\(2, 3, 3, 4\) and \(1, 3, 3, 4\)"),
        (MAPS, MAPS[..., :3], None, "same images and labels"),
        (MAPS[0], MAPS[0], None, r"\[N, h, w, L\]"),
        (MAPS[:, 0], MAPS, None, r"\[N, h, w, L\]"),
        (MAPS[None], MAPS[None], None, r"\[N, h, w, L\]"),
        (MAPS, MAPS[:, 0], None, r"\[N, h, w, L\]"),
        (MAPS[:0], MAPS[:0], None, r"\(0, 3, 3, 4\)"),
        (MAPS, MAPS, np.ones((2, 3)), r"mask of shape \(2, 3\)"),
        (MAPS, MAPS, np.zeros((3, 3)), "0 true cells"),
        (MAPS, np.where(MAPS == MAPS[1, 0, 0, 0], np.nan, MAPS), None, "second.* image 1 "),
    ],
)
def test_bad_input_is_named(first, second, mask, message):
    with pytest.raises(ValueError, match=message):
        InconsistencyAccumulator().update(first, second, mask)
