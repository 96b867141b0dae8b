"""Insertion and deletion: against a loop over pixels, and on networks whose answer is known."""

import numpy as np
import pytest
from scipy import ndimage

from vac_tf.metrics.causal_curves import area_under_curve, insertion_deletion

SIDE = 8


def score(images):
    """The mean brightness of the upper half."""
    return images[:, : SIDE // 2].mean(axis=(1, 2, 3))


def random_case(seed=0):
    generator = np.random.default_rng(seed)
    image = generator.uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    return image, generator.normal(size=(SIDE, SIDE))


def test_equals_changing_one_pixel_after_the_other():
    image, heatmap = random_case()
    found = insertion_deletion(image, heatmap, score, steps=SIDE * SIDE)
    changed = image.copy()
    expected = [score(changed[None])[0]]
    for place in np.argsort(-heatmap, axis=None, kind="stable"):
        changed.reshape(-1, 3)[place] = image.mean(axis=(0, 1))
        expected.append(score(changed[None])[0])
    np.testing.assert_allclose(found["deletion"], expected, rtol=1e-5)


def test_curves_run_from_the_image_to_nothing_and_back():
    image, heatmap = random_case(1)
    found = insertion_deletion(image, heatmap, score, steps=5)
    whole = score(image[None])[0]
    assert found["deletion"][0] == found["insertion"][-1] == pytest.approx(whole)
    assert found["deletion"][-1] == pytest.approx(image.mean(), rel=1e-5)
    assert all(len(curve) == 6 for curve in found.values())


def test_the_map_of_what_counts_is_best():
    # Columns of black and white, which blurring takes away; they count in the upper half only.
    image = np.zeros((32, 32, 3), np.float32)
    image[:, ::2] = 255.0
    right = np.zeros((32, 32))
    right[:16] = 1.0

    def contrast(images):
        return np.abs(np.diff(images[:, :16], axis=2)).mean(axis=(1, 2, 3))

    areas = [
        {name: area_under_curve(curve) for name, curve in curves.items()}
        for curves in (insertion_deletion(image, m, contrast, 4) for m in (right, 1 - right))
    ]
    assert areas[0]["deletion"] < areas[1]["deletion"]
    assert areas[0]["insertion"] > areas[1]["insertion"]


def test_area_is_exact_for_lines():
    assert area_under_curve(np.linspace(0, 1, 7)) == pytest.approx(0.5)
    assert area_under_curve(np.full(3, 0.25)) == pytest.approx(0.25)


def test_a_heatmap_of_another_size_is_refused():
    image, heatmap = random_case()
    with pytest.raises(ValueError, match=r"image's size \(8, 8\), got shape \(8, 7\)"):
        insertion_deletion(image, heatmap[:, 1:], score)


def test_insertion_begins_with_the_image_blurred_as_the_authors_do_in_proportion_to_its_side():
    generator = np.random.default_rng(4)
    image = generator.uniform(0, 255, (28, 112, 3)).astype(np.float32)
    seen = []

    def predict(images):
        seen.append(images)
        return images.mean(axis=(1, 2, 3))

    found = insertion_deletion(image, generator.normal(size=(28, 112)), predict)
    assert all(len(curve) == 21 for curve in found.values())
    # 5 pixels for a side of 224, and colours stay apart.
    expected = ndimage.gaussian_filter(image, (2.5, 2.5, 0), mode="nearest")
    np.testing.assert_allclose(seen[0][0], expected, rtol=1e-5)
    changed = (seen[1] != image).all(axis=-1).mean(axis=(1, 2))
    np.testing.assert_allclose(changed, np.arange(21) / 20, atol=1.1 / (28 * 112))
