"""Heatmaps over images: what is hot is where the heatmap is high, and pictures are written."""

import numpy as np
from PIL import Image

from vac_tf.figures.heatmap_overlay import COLORS, draw_mirror_comparison, enlarge, overlay


def test_enlarging_keeps_constants_and_the_place_of_the_peak():
    np.testing.assert_allclose(enlarge(np.full((3, 5), 0.7), 30, 40), 0.7, rtol=1e-6)
    heatmap = np.zeros((4, 4))
    heatmap[1, 3] = 2.0
    row, column = np.unravel_index(np.argmax(enlarge(heatmap, 40, 80)), (40, 80))
    assert 10 <= row < 20 and 60 <= column < 80


def test_mirroring_the_heatmap_mirrors_the_overlay():
    generator = np.random.default_rng(0)
    image, heatmap = generator.integers(0, 256, (32, 48, 3)), generator.normal(size=(4, 6))
    shown = overlay(image, heatmap, -1.0, 1.0)
    mirrored = overlay(image[:, ::-1], heatmap[:, ::-1], -1.0, 1.0)
    np.testing.assert_allclose(mirrored[:, ::-1].astype(int), shown, atol=1)


def test_opacity_goes_from_the_image_to_the_colours():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    np.testing.assert_array_equal(overlay(image, np.ones((2, 2)), 0.0, 1.0, opacity=0.0), image)
    hottest = np.rint(np.array(COLORS(1.0)[:3]) * 255.0)
    colors = overlay(image, np.ones((2, 2)), 0.0, 1.0, opacity=1.0)
    np.testing.assert_array_equal(colors, np.broadcast_to(hottest, (16, 16, 3)))


def test_comparison_has_a_row_per_network(tmp_path):
    images, maps = np.zeros((2, 32, 32, 3)), np.random.default_rng(0).normal(size=(2, 4, 4))
    sizes = []
    for names in (("one",), ("one", "two")):
        path = tmp_path / f"{len(names)}.png"
        draw_mirror_comparison(images, dict.fromkeys(names, (maps, maps)), ["a", "b"], str(path))
        sizes.append(Image.open(path).size)
    assert sizes[0][0] == sizes[1][0] and sizes[0][1] < sizes[1][1]
    names = {"$a^$ b": (maps, maps)}  # No formula.
    draw_mirror_comparison(images, names, ["under $5_{", "over $9"], str(tmp_path / "dollars.png"))
