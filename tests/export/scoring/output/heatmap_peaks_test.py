"""All maps of a batch at once: positions in pixels, equal to those of one map after another."""

from collections import deque

import numpy as np
import pytest

from export.scoring.output.heatmap_peaks import PIXEL_FIELDS, Peaks, describe_peaks

FIELDS = ("value", *PIXEL_FIELDS)


def describe_peak(heatmap, corners):
    """What `describe_peaks` says of one map, by name."""
    values, places = describe_peaks(np.asarray(heatmap)[..., None], np.array([corners]))
    (peaks,) = Peaks(np.ones(1, int), np.zeros(1, int), values, places).objects(["label"])[0]
    return {name: peaks[name] for name in FIELDS}


def gauss(row, column, shape=(7, 9)):
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2.0)


def test_a_peak_is_where_its_cell_is_in_the_image():
    heatmap = np.zeros((2, 4))
    heatmap[1, 2] = 3.0
    peak = describe_peak(heatmap, (0, 0, 400, 100))
    assert peak["value"] == 3.0
    assert (peak["row"], peak["column"]) == (75.0, 250.0)
    assert (peak["centroid_row"], peak["centroid_column"]) == (75.0, 250.0)
    assert [peak[side] for side in "xywh"] == [200.0, 50.0, 100.0, 50.0]


def test_positions_follow_the_crop_and_the_size_of_the_image():
    base = describe_peak(gauss(2, 5), (0, 0, 90, 70))
    moved = describe_peak(gauss(2, 5), (1000, -20, 1180, 120))
    for name in ("column", "centroid_column", "x"):
        assert moved[name] == pytest.approx(1000 + 2 * base[name], abs=0.02)
    for name in ("row", "centroid_row", "y"):
        assert moved[name] == pytest.approx(-20 + 2 * base[name], abs=0.02)
    assert (moved["w"], moved["h"]) == (2 * base["w"], 2 * base["h"])


def test_a_flip_flips_everything():
    heatmap = gauss(1, 2) + 0.3 * gauss(1, 3)
    there, back = (describe_peak(h, (0, 0, 90, 70)) for h in (heatmap, heatmap[:, ::-1]))
    for name in ("column", "centroid_column"):
        assert there[name] + back[name] == pytest.approx(90, abs=0.02)
    assert there["x"] + there["w"] + back["x"] == pytest.approx(90, abs=0.02)
    assert there["centroid_column"] > there["column"]  # Towards the second bump.


def test_only_the_region_around_the_peak_counts():
    heatmap = gauss(1, 1) + 0.9 * gauss(5, 7)
    peak = describe_peak(heatmap, (0, 0, 9, 7))
    assert (peak["x"], peak["y"], peak["w"], peak["h"]) == (0.0, 0.0, 3.0, 3.0)
    assert peak["centroid_row"] == pytest.approx(1.5, abs=0.01)


def test_a_map_without_evidence_has_a_peak_and_no_region():
    peak = describe_peak(gauss(1, 1) - 5.0, (0, 0, 9, 7))
    assert (peak["row"], peak["column"], peak["value"]) == (1.5, 1.5, -4.0)
    assert peak["centroid_row"] is None and peak["x"] is None
    nothing = describe_peak(np.full((2, 2), np.nan), (0, 0, 9, 7))
    assert set(nothing.values()) == {None}


# ---- One map after another, cell by cell: the reference.


def describe_one(heatmap, corners):
    result = dict.fromkeys(FIELDS)
    if not np.isfinite(heatmap).all():
        return result
    left, top, right, bottom = map(int, corners)
    cell_height = (bottom - top) / heatmap.shape[0]
    cell_width = (right - left) / heatmap.shape[1]
    peak = tuple(map(int, np.unravel_index(heatmap.argmax(), heatmap.shape)))
    result["value"] = round(float(heatmap[peak]), 6)
    places = {"row": top + (peak[0] + 0.5) * cell_height}
    places["column"] = left + (peak[1] + 0.5) * cell_width
    if heatmap[peak] > 0.0:
        cells = np.array(sorted(region_around(heatmap > heatmap[peak] / 2.0, peak)))
        weights = heatmap[cells[:, 0], cells[:, 1]].astype(np.float64)
        centre = (cells + 0.5).T @ (weights / weights.sum())
        places["centroid_row"] = top + centre[0] * cell_height
        places["centroid_column"] = left + centre[1] * cell_width
        first, last = cells.min(axis=0), cells.max(axis=0) + 1
        places["x"], places["y"] = left + first[1] * cell_width, top + first[0] * cell_height
        places["w"], places["h"] = (last - first)[::-1] * (cell_width, cell_height)
    return result | {name: round(float(value), 2) for name, value in places.items()}


def region_around(inside, start):
    found, waiting = {start}, deque([start])
    while waiting:
        row, column = waiting.popleft()
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            in_map = all(0 <= at < size for at, size in zip(cell, inside.shape, strict=True))
            if in_map and inside[cell] and cell not in found:
                found.add(cell)
                waiting.append(cell)
    return found


def random_corners(generator, count):
    start = generator.integers(-20, 400, (count, 2))
    return np.concatenate([start, start + generator.integers(1, 900, (count, 2))], axis=1)


def smooth(noise):
    for axis in (0, 1):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)
    return noise


KINDS = {
    "noise": lambda noise: noise,
    "smooth": smooth,
    "ties": lambda noise: np.rint(noise),
    "plateaus": lambda noise: (noise > -0.5).astype(np.float32),
    "constant": lambda noise: np.ones_like(noise) * np.abs(noise[:1, :1]),
    "negative": lambda noise: -np.abs(noise),
    "zero": lambda noise: 0.0 * noise,
    "not finite": lambda noise: np.where(noise > 2.0, np.inf, np.where(noise < -2, np.nan, noise)),
    "smallest numbers": lambda noise: noise * np.float32(1e-44),
    "large": lambda noise: noise * np.float32(1e30),
    "float64": lambda noise: noise.astype(np.float64) * np.pi,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7, 7), (8, 8), (10, 10), (1, 1), (1, 6), (16, 12)])
def test_all_maps_at_once_are_as_one_after_another(kind, shape):
    generator = np.random.default_rng(0)
    maps = KINDS[kind](generator.normal(size=(*shape, 100)).astype(np.float32))
    corners = random_corners(generator, 100)
    values, places = describe_peaks(maps, corners)
    numbers = np.column_stack([values, places]).tolist()
    for number, one in enumerate(numbers):
        expected = describe_one(np.ascontiguousarray(maps[:, :, number]), corners[number])
        named = {n: None if np.isnan(v) else v for n, v in zip(FIELDS, one, strict=True)}
        assert repr(named) == repr(expected)  # -0.0 too.


def test_a_region_is_followed_around_every_corner():
    snake = np.zeros((9, 9), np.float32)
    snake[::2] = 1.0
    snake[1::4, -1] = snake[3::4, 0] = 1.0
    snake[0, 0] = 1.5
    cut = snake.copy()
    cut[5, -1] = 0.0
    whole, part = (describe_peak(one, (0, 0, 9, 9)) for one in (snake, cut))
    assert (whole["row"], whole["column"], whole["h"]) == (0.5, 0.5, 9.0)
    assert part["h"] == 5.0


def test_the_order_in_memory_does_not_matter():
    maps = np.random.default_rng(0).normal(size=(40, 5, 6)).astype(np.float32)
    corners = random_corners(np.random.default_rng(1), 40)
    strided = describe_peaks(maps.transpose(1, 2, 0), corners)
    for one, other in zip(
        describe_peaks(maps.transpose(1, 2, 0).copy(), corners), strided, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_no_maps_are_no_peaks():
    values, places = describe_peaks(np.zeros((7, 7, 0), np.float32), np.zeros((0, 4), int))
    assert values.shape == (0,) and places.shape == (0, 8)


def test_rows_of_peaks_are_taken_and_joined():
    generator = np.random.default_rng(0)
    counts = np.array([2, 0, 3, 1])
    numbers = generator.random((6, 9))
    numbers[4, 3:] = np.nan
    files = [f"{number}.png" for number in range(5)] + [None]
    names = tuple("abcdef")
    peaks = Peaks(counts, np.arange(6), numbers[:, 0], numbers[:, 1:], files)
    rows = peaks.objects(names)
    assert [len(row) for row in rows] == counts.tolist()
    assert [one["label"] for row in rows for one in row] == list("abcdef")
    assert rows[2][2]["row"] == numbers[4, 1] and rows[2][2]["x"] is None
    assert rows[3][0]["file"] is None
    assert peaks.take(np.array([0, 2])).objects(names) == [rows[0], rows[2]]
    assert peaks.take(np.array([1])).objects(names) == [[]]
    joined = Peaks.join([peaks, peaks.take(np.array([3]))])
    assert joined.objects(names) == [*rows, rows[3]]
