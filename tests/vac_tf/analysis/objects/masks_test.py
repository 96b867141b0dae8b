"""Masks of annotated objects: three notations of one shape, and damaged ones."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vac_tf.analysis.objects.masks import object_mask
from vac_tf.datasets import DatasetError
from vac_tf.datasets.split import ObjectAnnotation

HEIGHT, WIDTH = 20, 30


def annotation(segmentation, box=(4, 3, 16, 6)):
    return ObjectAnnotation(0, box, segmentation, False, 96.0)


def rectangle():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 4:20] = True
    return mask


def runs_of(mask):
    """Uncompressed COCO run lengths, the slow obvious way."""
    runs, current = [0], False
    for value in mask.ravel(order="F"):
        if value != current:
            runs.append(0)
            current = value
        runs[-1] += 1
    return runs


def compressed(mask, as_text=True):
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encoded["counts"]
    return {"size": encoded["size"], "counts": counts.decode() if as_text else counts}


@pytest.mark.parametrize(
    "segmentation",
    [
        [[4, 3, 20, 3, 20, 9, 4, 9]],
        [[4, 3, 10, 3, 10, 9, 4, 9], [10, 3, 20, 3, 20, 9, 10, 9]],
        {"size": [HEIGHT, WIDTH], "counts": runs_of(rectangle())},
        compressed(rectangle()),
        compressed(rectangle(), as_text=False),
        None,
        [],
    ],
    ids=["polygon", "two polygons", "run lengths", "text", "bytes", "box", "no polygon"],
)
def test_every_notation_of_a_rectangle_gives_the_same_mask(segmentation):
    mask = object_mask(annotation(segmentation), HEIGHT, WIDTH)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, rectangle())


@pytest.mark.parametrize("seed", range(5))
def test_both_kinds_of_run_lengths_of_random_masks(seed):
    mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.1 + 0.2 * seed
    runs = {"size": [HEIGHT, WIDTH], "counts": runs_of(mask)}
    for segmentation in (runs, compressed(mask)):
        np.testing.assert_array_equal(object_mask(annotation(segmentation), HEIGHT, WIDTH), mask)


def test_polygons_are_cut_at_the_border():
    outside = [[-50, 5, 10, 5, 10, 60, -50, 60]]
    mask = object_mask(annotation(outside), HEIGHT, WIDTH)
    assert mask[5:, :10].all() and mask.sum() == 15 * 10
    assert not object_mask(annotation([[40, 40, 50, 40, 50, 50]]), HEIGHT, WIDTH).any()


@pytest.mark.parametrize("box", [(4, 3, 0, 6), (4, 3, -5, 6)])
def test_what_encloses_nothing_has_no_pixels(box):
    assert not object_mask(annotation(None, box), HEIGHT, WIDTH).any()
    assert not object_mask(annotation([[4, 3, 20, 9]]), HEIGHT, WIDTH).any()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[4, 3, 20, 3, 20]], "Polygon 0 of the segmentation must be a flat list"),
        ([[4, 3, 20, 3, 20, 9], [1, "2"]], "Polygon 1"),
        ([4, 3, 20, 3, 20, 9], "flat list"),
        ([[4, 3, 20, 3, 20, float("nan")]], "finite"),
        ([[4, 3, 20, 3, 20, 1e12]], "beyond 300"),
        ("text", "got a str"),
        ({"size": [HEIGHT, WIDTH]}, "must be a list or text, got None"),
        ({"size": [WIDTH, HEIGHT], "counts": [600]}, r"size \[30, 20\], but the image is \[20, 30"),
        ({"counts": [600]}, "size None"),
        ({"size": [HEIGHT, WIDTH], "counts": [100, 100]}, "add up to 200 .* 600"),
        ({"size": [HEIGHT, WIDTH], "counts": [700]}, "add up to 700"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, 605]}, "integers from 0"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "add up to 0"),
        ({"size": [HEIGHT, WIDTH], "counts": "~~"}, "the character '~'"),
        ({"size": 5, "counts": [600]}, "size 5"),
        ({"size": [HEIGHT, WIDTH], "counts": compressed(rectangle())["counts"][:5]}, "cut short"),
        ({"size": [HEIGHT, WIDTH], "counts": compressed(rectangle())["counts"][:-1]}, "cut short"),
    ],
)
def test_damaged_segmentations_are_refused(segmentation, message):
    with pytest.raises(DatasetError, match=message):
        object_mask(annotation(segmentation), HEIGHT, WIDTH)
