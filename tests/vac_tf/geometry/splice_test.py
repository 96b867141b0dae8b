"""Mosaics of a batch: their pixels, heatmaps, labels and weights belong to the same images."""

import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import RATIO, build_batch, build_trainer, numbers
from vac_tf import losses
from vac_tf.geometry.transforms import Splice, parse_transforms

NAN = np.nan


@pytest.mark.parametrize("cells", [2, 3])
def test_each_cell_holds_a_shrunk_image_of_the_batch(cells):
    images = np.random.default_rng(0).uniform(0, 255, (5, 12, 12, 3)).astype("float32")
    views = np.asarray(Splice(cells).images(images))
    assert views.shape == images.shape
    side = 12 // cells
    shrunk = images.reshape(5, side, cells, side, cells, 3).mean(axis=(2, 4))
    for number in range(5):
        for place in range(cells**2):
            top, left = side * (place // cells), side * (place % cells)
            part = views[number, top : top + side, left : left + side]
            np.testing.assert_allclose(part, shrunk[(number + place) % 5], rtol=1e-5)


def test_heatmaps_of_a_network_of_pixels_follow():
    """A network that looks at each pixel alone, and averages over cells of 4 pixels."""
    images = np.random.default_rng(0).uniform(0, 1, (4, 24, 24, 3)).astype("float32")
    kernel = np.random.default_rng(1).normal(size=(3, 5)).astype("float32")

    def heatmaps(images):
        return tf.nn.avg_pool2d(images @ kernel, 4, 4, "VALID")

    splice = Splice(2)
    expected = splice.heatmaps(heatmaps(images))
    np.testing.assert_allclose(heatmaps(splice.images(images)), expected, atol=1e-6)
    assert np.abs(heatmaps(images) - expected).max() > 0.1


def test_a_seam_through_a_cell_averages_its_two_sides():
    heatmaps = np.arange(2.0)[:, None, None, None] * np.ones((2, 3, 3, 1), "float32")
    first = np.asarray(Splice(2).heatmaps(heatmaps))[0, :, :, 0]
    np.testing.assert_allclose(first, [[0, 0.5, 1]] * 3)


def test_labels_are_those_of_all_images():
    labels = np.array([[1, 0, NAN, 0], [0, 0, 0, NAN], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    expected = [[1, 0, NAN, NAN], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    np.testing.assert_array_equal(Splice(2).labels(labels.astype("float32")), expected)
    np.testing.assert_allclose(
        Splice(2).example_weights(np.array([4.0, 0, 0, 0, 8], "float32")), [1, 2, 3, 3, 3]
    )


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 2.0, 0.0]])
def test_the_trainer_takes_each_views_own_labels_and_weights(weights):
    images, labels = build_batch()
    weights = None if weights is None else tf.constant(weights)
    trainer = build_trainer("splice:2")
    terms = numbers(trainer.loss_terms(images, labels, False, weights))
    (splice,) = parse_transforms("splice:2")
    first = trainer.network(images)
    second = trainer.network(splice.images(images))
    of_view = 1.0 if weights is None else splice.example_weights(weights)
    costs = [
        losses.weighted_sigmoid_cross_entropy(labels, first["logits"], RATIO)
        * (1.0 if weights is None else weights),
        losses.weighted_sigmoid_cross_entropy(splice.labels(labels), second["logits"], RATIO)
        * of_view,
    ]
    assert terms["classification_loss"] == pytest.approx(np.mean(costs), rel=1e-5)
    difference = (splice.heatmaps(first["heatmaps"]) - second["heatmaps"]) ** 2
    expected = np.mean(np.asarray(difference), axis=(1, 2, 3)) * of_view
    assert terms["consistency_splice_2"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_batch_of_one_image_is_a_mosaic_of_itself():
    images, labels = build_batch()
    (view,) = Splice(2).images(images[:1])
    np.testing.assert_allclose(view[:12, :12], view[12:, 12:])
    np.testing.assert_array_equal(Splice(2).labels(labels[:1]), labels[:1])
