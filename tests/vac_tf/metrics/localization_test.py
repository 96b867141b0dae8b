"""Where heatmaps look: against slow versions, and by their properties."""

import numpy as np
import pytest
from scipy import ndimage

from vac_tf.metrics.localization import (
    MaskOverlap,
    PixelPrecision,
    best_box_overlaps,
    box_overlaps,
    energy_inside,
    max_box_accuracy,
    pointing_game,
    unit_scale,
)

HEIGHT, WIDTH = 24, 36


def random_case(seed, height=HEIGHT, width=WIDTH):
    """A smooth map, a mask of one rectangle, and the rectangle's box."""
    generator = np.random.default_rng(seed)
    heatmap = ndimage.gaussian_filter(generator.normal(size=(height, width)), 2).astype(np.float32)
    x, y = generator.integers(0, width - 8), generator.integers(0, height - 6)
    mask = np.zeros((height, width), bool)
    mask[y : y + 6, x : x + 8] = True
    return heatmap, mask, np.array([[x, y, 8, 6]], float)


def literal_pointing_game(heatmap, mask, tolerance):
    rows, columns = np.nonzero(mask)
    hits = []
    for row, column in zip(*np.nonzero(heatmap == heatmap.max()), strict=True):
        hits.append(np.hypot(rows - row, columns - column).min() <= tolerance)
    return np.mean(hits)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [0.0, 5.0, 15.0])
def test_pointing_game_equals_the_distance_to_every_pixel(seed, tolerance):
    heatmap, mask, _ = random_case(seed)
    found = pointing_game(heatmap, mask, tolerance)
    assert found == literal_pointing_game(heatmap, mask, tolerance)


def test_the_tolerance_is_a_distance_in_pixels():
    heatmap, mask = np.zeros((40, 40)), np.zeros((40, 40), bool)
    heatmap[5, 5] = 1.0
    mask[14, 17] = True  # 9 rows and 12 columns away: 15 pixels.
    assert pointing_game(heatmap, mask) == 1.0
    assert pointing_game(heatmap, mask, 14.99) == 0.0


def test_a_constant_map_scores_chance():
    _, mask, _ = random_case(0)
    constant = np.full(mask.shape, -3.0)
    assert pointing_game(constant, mask, 0.0) == pytest.approx(mask.mean())
    assert energy_inside(constant + 4, mask) == pytest.approx(mask.mean())
    assert energy_inside(constant, mask) is None


@pytest.mark.parametrize("score", [pointing_game, energy_inside])
def test_a_mirror_image_scores_the_same(score):
    heatmap, mask, _ = random_case(1)
    assert score(heatmap[:, ::-1], mask[:, ::-1]) == pytest.approx(score(heatmap, mask))


def test_energy_equals_the_sum_over_pixels_and_knows_no_scale():
    heatmap, mask, _ = random_case(2)
    pairs = [
        (max(value, 0.0), inside) for value, inside in zip(heatmap.flat, mask.flat, strict=True)
    ]
    literal = sum(v for v, inside in pairs if inside) / sum(v for v, _ in pairs)
    assert energy_inside(heatmap, mask) == pytest.approx(literal, rel=1e-5)
    assert energy_inside(7 * heatmap, mask) == pytest.approx(literal, rel=1e-5)
    assert energy_inside(mask - 0.0, mask) == 1.0 and energy_inside(1.0 - mask, mask) == 0.0


def literal_overlap(first, second):
    """By counting pixels of whole-number boxes."""
    drawn = np.zeros((2, HEIGHT, WIDTH), bool)
    for canvas, (x, y, width, height) in zip(drawn, (first, second), strict=True):
        canvas[int(y) : int(y + height), int(x) : int(x + width)] = True
    return (drawn[0] & drawn[1]).sum() / (drawn[0] | drawn[1]).sum()


def test_box_overlaps_equal_counted_pixels():
    generator = np.random.default_rng(3)
    boxes = np.stack(
        [np.r_[generator.integers(0, 10, 2), generator.integers(1, 12, 2)] for _ in range(8)]
    )
    expected = [[literal_overlap(a, b) for b in boxes[4:]] for a in boxes[:4]]
    np.testing.assert_allclose(box_overlaps(boxes[:4], boxes[4:]), expected)


def literal_best_box_overlaps(heatmap, boxes, thresholds):
    unit, best = unit_scale(heatmap), []
    for number in range(thresholds):
        regions, count = ndimage.label(unit >= number / thresholds, np.ones((3, 3)))
        overlaps = [0.0]
        for region in range(1, count + 1):
            rows, columns = np.nonzero(regions == region)
            start = columns.min(), rows.min()
            box = (*start, np.ptp(columns) + 1, np.ptp(rows) + 1)
            overlaps += [literal_overlap(box, other) for other in boxes]
        best.append(max(overlaps))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_best_box_overlaps_equal_the_slow_version(seed):
    heatmap, _, boxes = random_case(seed)
    boxes = np.concatenate([boxes, boxes // 2 + 1])
    found = best_box_overlaps(heatmap, boxes, 12)
    np.testing.assert_allclose(found, literal_best_box_overlaps(heatmap, boxes, 12))


def test_a_map_that_is_the_object_finds_its_box_at_every_threshold():
    _, mask, boxes = random_case(4)
    overlaps = best_box_overlaps(mask - 0.0, boxes, 10)
    np.testing.assert_array_equal(overlaps[1:], 1.0)
    assert max_box_accuracy([overlaps]) == 1.0
    # A constant map is one region at threshold 0 and none above.
    constant = best_box_overlaps(np.ones(mask.shape), boxes, 10)
    assert constant[0] == pytest.approx(mask.mean()) and not constant[1:].any()


def test_one_threshold_goes_over_all_maps():
    # Each map fits at another threshold: never both at once.
    overlaps = np.array([[0.6, 0.0], [0.0, 0.6]])
    assert max_box_accuracy(overlaps) == pytest.approx((0.5 + 0.5 + 0.0) / 3)
    assert max_box_accuracy(np.array([[0.6, 0.0], [0.6, 0.0]])) == pytest.approx(2 / 3)
    assert max_box_accuracy([]) is None


def literal_pixel_precision(cases, thresholds):
    """Precision and recall at every threshold, by counting pixels."""
    area, last = 0.0, 0.0
    positives = sum(mask.sum() for _, mask, _ in cases)
    for number in reversed(range(thresholds)):
        found = [unit_scale(heatmap) >= np.float32(number / thresholds) for heatmap, _, _ in cases]
        true = sum((f & mask).sum() for f, (_, mask, _) in zip(found, cases, strict=True))
        precision, recall = true / max(sum(f.sum() for f in found), 1), true / positives
        area, last = area + precision * (recall - last), recall
    return area


def test_pixel_precision_equals_counting_at_every_threshold():
    cases = [random_case(seed) for seed in range(4)]
    pixels = PixelPrecision(64)
    for heatmap, mask, _ in cases:
        pixels.update(heatmap, mask)
    assert pixels.result() == pytest.approx(literal_pixel_precision(cases, 64), rel=1e-6)
    assert PixelPrecision().result() is None


def test_pixel_precision_of_the_mask_is_1_and_of_a_constant_map_its_share():
    _, mask, _ = random_case(5)
    for heatmap, expected in ((mask - 0.0, 1.0), (np.zeros(mask.shape), mask.mean())):
        pixels = PixelPrecision()
        pixels.update(heatmap, mask)
        assert pixels.result() == pytest.approx(expected)


@pytest.mark.parametrize(
    "heatmap, mask, message",
    [
        (np.zeros((2, 2)), np.zeros((2, 2), bool), "at least one pixel"),
        (np.zeros((2, 3)), np.ones((2, 2), bool), r"got shapes \(2, 3\) and \(2, 2\)"),
        (np.zeros((2, 2)), np.ones((2, 2)), "float64"),
        (np.full((2, 2), np.nan), np.ones((2, 2), bool), "4 values of the heatmap are not finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(heatmap, mask, message):
    for judge in (pointing_game, energy_inside, PixelPrecision().update):
        with pytest.raises(ValueError, match=message):
            judge(heatmap, mask)
    with pytest.raises(ValueError, match="K at least 1"):
        best_box_overlaps(np.zeros((2, 2)), np.zeros((0, 4)))


def test_overlap_of_masks_is_that_of_the_best_common_threshold():
    random = np.random.default_rng(5)
    maps = random.uniform(size=(4, 9, 9)).astype(np.float32)
    masks = random.uniform(size=(4, 9, 9)) > 0.6
    overlap = MaskOverlap(thresholds=20)
    assert overlap.result() is None
    for heatmap, mask in zip(maps, masks, strict=True):
        overlap.update(heatmap, mask)
    units = [unit_scale(heatmap) for heatmap in maps]
    means = [
        np.mean(
            [
                np.sum((unit >= t) & mask) / np.sum((unit >= t) | mask)
                for unit, mask in zip(units, masks, strict=True)
            ]
        )
        for t in np.arange(20, dtype=np.float32) / 20
    ]
    assert overlap.result() == pytest.approx(max(means))
    perfect = MaskOverlap()
    perfect.update(masks[0].astype(np.float32), masks[0])
    assert perfect.result() == 1.0


@pytest.mark.parametrize("measure", [MaskOverlap, PixelPrecision])
def test_the_number_of_thresholds_is_that_of_the_papers(measure):
    expected = {MaskOverlap: 50, PixelPrecision: 1000}[measure]
    cases = [random_case(seed)[:2] for seed in range(3)]
    results = []
    for thresholds in ((), (expected,)):
        accumulated = measure(*thresholds)
        for heatmap, mask in cases:
            accumulated.update(heatmap, mask)
        results.append(accumulated.result())
    assert results[0] == results[1]


def test_a_map_that_is_its_mask_is_perfect_and_its_opposite_worst():
    _, mask, _ = random_case(3)
    for measure in (MaskOverlap, PixelPrecision):
        best, worst = measure(), measure()
        best.update(mask.astype(float), mask)
        worst.update((~mask).astype(float), mask)
        assert best.result() == pytest.approx(1.0)
        # What is left when every pixel is taken.
        assert worst.result() == pytest.approx(mask.mean())
