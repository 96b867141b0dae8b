"""Saliency metrics against slow versions written from the paper's text, and their properties."""

import math
import warnings

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from vac_tf import saliency_metrics as metrics

SHAPE = (24, 31)
POINT_METRICS = {
    "nss": metrics.nss,
    "auc_judd": metrics.auc_judd,
    "auc_borji": metrics.auc_borji,
}
MAP_METRICS = {"cc": metrics.cc, "kld": metrics.kld, "sim": metrics.sim}


def blob(row, column, width=4.0, shape=SHAPE):
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))


def random_case(seed, levels=None):
    """A map (optionally of few values, so with ties), a fixation mask and a density."""
    generator = np.random.default_rng(seed)
    saliency = generator.random(SHAPE) + 2 * blob(*generator.uniform(5, 20, 2))
    if levels:
        saliency = np.floor(saliency * levels) / levels
    density = blob(*generator.uniform(5, 20, 2)) + 0.01 * generator.random(SHAPE)
    mask = generator.random(SHAPE) < 0.1 * density
    mask[3, 4] = True
    return saliency, mask, density


# ---- Slow versions: loops over pixels, from the formulas


def slow_nss(saliency, mask):
    values = [float(v) for row in saliency for v in row]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    scores = [(saliency[r, c] - mean) / deviation for r, c in zip(*np.nonzero(mask), strict=True)]
    return sum(scores) / len(scores)


def slow_kld(saliency, density):
    total_p, total_q = float(np.sum(saliency)), float(np.sum(density))
    result = 0.0
    for p, q in zip(np.ravel(saliency), np.ravel(density), strict=True):
        p, q = p / total_p, q / total_q
        result += q * math.log(2.0**-52 + q / (2.0**-52 + p))
    return result


def slow_sim(saliency, density):
    total_p, total_q = float(np.sum(saliency)), float(np.sum(density))
    pairs = zip(np.ravel(saliency), np.ravel(density), strict=True)
    return sum(min(p / total_p, q / total_q) for p, q in pairs)


def slow_auc_judd(saliency, mask, jitter=None):
    """As AUC_Judd.m of the benchmark: one point for each fixation, straight lines between."""
    if jitter is not None:
        saliency = saliency + jitter.random(saliency.shape) / 1e7
    fixated = np.sort(saliency[mask])[::-1]
    curve = [(0.0, 0.0)]
    for number, threshold in enumerate(fixated, start=1):
        above = np.sum(saliency >= threshold)
        false_alarms = (above - number) / (saliency.size - len(fixated))
        curve.append((false_alarms, number / len(fixated)))
    curve.append((1.0, 1.0))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(curve, curve[1:], strict=False))


def slow_information_gain(saliency, mask, baseline):
    gains = []
    for r, c in zip(*np.nonzero(mask), strict=True):
        model = 2.0**-52 + saliency[r, c] / saliency.sum()
        reference = 2.0**-52 + baseline[r, c] / baseline.sum()
        gains.append(math.log2(model) - math.log2(reference))
    return sum(gains) / len(gains)


@pytest.mark.parametrize("levels", [None, 3], ids=["no ties", "ties"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_slow_versions(seed, levels):
    saliency, mask, density = random_case(seed, levels)
    close = lambda value: pytest.approx(value, rel=1e-9, abs=1e-12)  # noqa: E731
    assert metrics.nss(saliency, mask) == close(slow_nss(saliency, mask))
    assert metrics.kld(saliency, density) == close(slow_kld(saliency, density))
    assert metrics.sim(saliency, density) == close(slow_sim(saliency, density))
    if levels is None:
        assert metrics.auc_judd(saliency, mask) == close(slow_auc_judd(saliency, mask))
    assert metrics.cc(saliency, density) == close(pearsonr(saliency.ravel(), density.ravel())[0])
    gain = metrics.information_gain(saliency, mask, density)
    assert gain == close(slow_information_gain(saliency, mask, density))


@pytest.mark.parametrize("levels", [2, 20])
def test_judds_auc_of_a_tied_map_is_the_published_one_expected_over_its_jitter(levels):
    saliency, mask, _ = random_case(1, levels)
    generator = np.random.default_rng(0)
    drawn = [slow_auc_judd(saliency, mask, generator) for _ in range(400)]
    error = 4 * np.std(drawn) / np.sqrt(len(drawn))
    assert error < 0.01
    assert metrics.auc_judd(saliency, mask) == pytest.approx(np.mean(drawn), abs=error)


@pytest.mark.parametrize("levels", [None, 2], ids=["no ties", "ties"])
def test_drawn_negatives_estimate_the_exact_area(levels):
    saliency, mask, density = random_case(5, levels)
    every_pixel = np.r_[saliency[mask], saliency.ravel()]
    truth = np.r_[np.ones(mask.sum()), np.zeros(saliency.size)]
    exact = roc_auc_score(truth, every_pixel)
    assert metrics.auc_borji(saliency, mask, splits=4000) == pytest.approx(exact, abs=0.005)

    others = np.random.default_rng(1).poisson(density)
    truth = np.r_[np.ones(mask.sum()), np.zeros(others.sum())]
    exact = roc_auc_score(truth, np.r_[saliency[mask], np.repeat(saliency.ravel(), others.ravel())])
    estimate = metrics.shuffled_auc(saliency, mask, others, seed=0, splits=4000)
    assert estimate == pytest.approx(exact, abs=0.005)


def test_all_other_fixations_are_used_when_they_are_few():
    saliency, mask, _ = random_case(6)
    others = np.zeros(SHAPE, int)
    others[0, 0], others[10, 10] = 1, 2
    negatives = np.array([saliency[0, 0], saliency[10, 10], saliency[10, 10]])
    wins = [[(p > n) + (p == n) / 2 for n in negatives] for p in saliency[mask]]
    for seed in range(3):  # Nothing is left to chance.
        assert metrics.shuffled_auc(saliency, mask, others, seed) == pytest.approx(np.mean(wins))


# ---- Properties


def test_a_perfect_map_is_best_and_its_negative_worst():
    saliency, mask, density = random_case(7)
    assert metrics.auc_judd(mask.astype(float), mask) == 1.0
    # One threshold for each fixation: the straight line to the first is all that is below it.
    worst = 0.001 * saliency - mask
    assert metrics.auc_judd(worst, mask) == pytest.approx(1 / (2 * mask.sum()))
    assert metrics.shuffled_auc(mask.astype(float), mask, ~mask, 0) == 1.0
    assert metrics.cc(density, density) == pytest.approx(1.0)
    assert metrics.cc(-density, density) == pytest.approx(-1.0)
    assert metrics.sim(density, density) == pytest.approx(1.0)
    assert metrics.kld(density, density) == pytest.approx(0.0, abs=1e-9)
    assert metrics.kld(saliency, density) > 0.1
    assert metrics.information_gain(density, mask, density) == 0.0


def test_only_the_order_counts_for_areas_and_no_scale_for_the_others():
    saliency, mask, density = random_case(8)
    for name, metric in POINT_METRICS.items():
        if name != "nss":
            assert metric(saliency**3, mask) == metric(saliency, mask), name
        assert metric(5 * saliency - 3, mask) == pytest.approx(metric(saliency, mask)), name
    assert metrics.cc(5 * saliency - 3, density) == pytest.approx(metrics.cc(saliency, density))
    for metric in (metrics.kld, metrics.sim):
        assert metric(1e-200 * saliency, 1e200 * density) == pytest.approx(
            metric(saliency, density)
        )
    for factor in (1e-200, 1e200):
        assert metrics.nss(factor * saliency, mask) == pytest.approx(metrics.nss(saliency, mask))


def test_mirroring_both_changes_nothing():
    saliency, mask, density = random_case(9)
    for metric in (metrics.nss, metrics.auc_judd):
        assert metric(saliency[:, ::-1], mask[:, ::-1]) == pytest.approx(metric(saliency, mask))
    for metric in MAP_METRICS.values():
        mirrored = metric(saliency[::-1], density[::-1])
        assert mirrored == pytest.approx(metric(saliency, density))
    for metric in (metrics.cc, metrics.sim):
        assert metric(saliency, density) == pytest.approx(metric(density, saliency))


def test_centre_bias_is_chance_for_the_shuffled_area_only():
    """Fixations of all images come from one distribution: a map of it cannot tell them apart."""
    generator = np.random.default_rng(0)
    centre = blob(12, 15)

    def counts(number):
        drawn = generator.choice(centre.size, number, p=(centre / centre.sum()).ravel())
        return np.bincount(drawn, minlength=centre.size).reshape(SHAPE)

    others = counts(4000)
    few = [metrics.shuffled_auc(centre, counts(10), others, seed) for seed in range(60)]
    assert np.mean(few) == pytest.approx(0.5, abs=0.03)
    assert metrics.auc_judd(centre, counts(10)) > 0.75


def test_equal_seeds_give_equal_scores():
    saliency, mask, density = random_case(10)
    others = np.random.default_rng(2).poisson(density)
    for metric in (
        lambda seed: metrics.auc_borji(saliency, mask, seed),
        lambda seed: metrics.shuffled_auc(saliency, mask, others, seed),
    ):
        assert metric(3) == metric(3)
        assert metric(3) != metric(4)
        assert metric(3) == pytest.approx(metric(4), abs=0.03)


# ---- Constant maps, nothing fixated, bad arrays


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e300])
def test_constant_maps_get_what_is_documented(value):
    _, mask, density = random_case(11)
    constant = np.full(SHAPE, value)
    uniform = np.full(SHAPE, 1.0 / density.size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.nss(constant, mask) == 0.0
        assert metrics.cc(constant, density) == 0.0
        assert metrics.cc(density, constant) == 0.0
        assert metrics.auc_judd(constant, mask) == 0.5
        assert metrics.auc_borji(constant, mask) == 0.5
        assert metrics.shuffled_auc(constant, mask, ~mask, 0) == 0.5
        assert metrics.kld(constant, density) == pytest.approx(metrics.kld(uniform, density))
        assert metrics.sim(constant, density) == pytest.approx(metrics.sim(uniform, density))
        assert metrics.information_gain(constant, mask, uniform) == pytest.approx(0.0, abs=1e-12)


def test_without_fixations_points_cannot_be_scored():
    saliency, mask, density = random_case(12)
    nothing = np.zeros(SHAPE, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in POINT_METRICS.values():
            assert math.isnan(metric(saliency, nothing))
        assert math.isnan(metrics.auc_judd(saliency, ~nothing))
        assert math.isnan(metrics.shuffled_auc(saliency, nothing, mask, 0))
        assert math.isnan(metrics.shuffled_auc(saliency, mask, nothing, 0))
        assert math.isnan(metrics.information_gain(saliency, nothing, density))


def test_bad_arrays_are_named():
    saliency, mask, density = random_case(13)
    for metric in (*POINT_METRICS.values(), *MAP_METRICS.values()):
        with pytest.raises(ValueError, match=r"\(24, 31\).*got \(23, 31\)"):
            metric(saliency, density[1:])
        with pytest.raises(ValueError, match=r"\(23, 31\).*got \(24, 31\)"):
            metric(saliency[1:], density)
        with pytest.raises(ValueError, match=r"saliency must be a map of shape \[H, W\]"):
            metric(saliency[None], density)
        broken = saliency.copy()
        broken[2, 2] = np.nan
        with pytest.raises(ValueError, match="saliency must be finite"):
            metric(broken, density)
    for metric in (metrics.kld, metrics.sim):
        with pytest.raises(ValueError, match="saliency must not be negative.*softmax"):
            metric(saliency - 5, density)
    with pytest.raises(ValueError, match="other_mask"):
        metrics.shuffled_auc(saliency, mask, mask[:, 1:], 0)
    with pytest.raises(ValueError, match="baseline"):
        metrics.information_gain(saliency, mask, density[1:])


def test_a_hundred_draws_of_seed_0_unless_told_otherwise():
    saliency, mask, _ = random_case(14)
    other = ~random_case(15)[1]  # More than are drawn.
    assert metrics.auc_borji(saliency, mask) == metrics.auc_borji(saliency, mask, 0, 100)
    assert metrics.shuffled_auc(saliency, mask, other) == metrics.shuffled_auc(
        saliency, mask, other, 0, 100
    )
    assert metrics.shuffled_auc(saliency, mask, other) != metrics.shuffled_auc(
        saliency, mask, other, 1
    )
    with_one = metrics.auc_borji(saliency, mask, 0, 1)
    assert with_one != metrics.auc_borji(saliency, mask, 0, 2)
