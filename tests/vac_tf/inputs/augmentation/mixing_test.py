"""MixUp and CutMix: images and labels are mixed alike, and what is unknown stays so."""

import numpy as np
import pytest
import tensorflow as tf

from vac_tf.inputs.augmentation.specification import BATCH_LAYERS, parse_layers

SIZE, SIDE = 6, 16


@pytest.fixture
def batch():
    """Image n holds the value n everywhere; its label n is 1, all others 0."""
    values = np.arange(SIZE, dtype="float32")[:, None, None, None]
    return tf.constant(np.broadcast_to(values, (SIZE, SIDE, SIDE, 3))), tf.eye(SIZE)


def mixed(spec, batch, number=0):
    (layer,) = parse_layers(spec).of_batch
    return [part.numpy() for part in layer(*batch, tf.constant([number, 7], tf.int64))]


@pytest.mark.parametrize("spec", ["mixup:0.5", "cutmix:1"])
def test_labels_say_how_much_of_which_images_is_there(batch, spec):
    images, labels = mixed(spec, batch)
    assert images.shape == (SIZE, SIDE, SIDE, 3) and labels.shape == (SIZE, SIZE)
    assert labels.min() >= 0.0 and labels.max() <= 1.0
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, rtol=1e-5)
    assert (np.diag(labels) < 1.0).sum() >= 2
    # The mean value of an image is that of its labels; a rectangle has whole pixels.
    tolerance = 1e-4 if spec.startswith("mixup") else SIZE * 2.5 / SIDE
    np.testing.assert_allclose(
        images.mean(axis=(1, 2, 3)), labels @ np.arange(SIZE), atol=tolerance
    )
    if spec.startswith("cutmix"):
        assert set(np.unique(images)) <= set(range(SIZE))


@pytest.mark.parametrize("name", BATCH_LAYERS)
def test_a_mixture_depends_on_its_seed_alone(batch, name):
    first, again, other = (mixed(f"{name}:0.8", batch, number) for number in (1, 1, 2))
    for part, expected in zip(first, again, strict=True):
        np.testing.assert_array_equal(part, expected)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("spec", ["mixup:0.5", "cutmix:1"])
def test_a_label_is_unknown_where_either_image_does_not_know_it(batch, spec):
    images, labels = batch
    unknown = labels.numpy()
    unknown[2, 4] = np.nan
    _, known_mixture = mixed(spec, batch)
    _, mixture = mixed(spec, (images, tf.constant(unknown)))
    holds_2 = known_mixture[:, 2] > 0
    assert holds_2.any()
    # An image may also have been mixed with nothing of image 2.
    assert np.isnan(mixture[holds_2, 4]).all()
    rest = ~np.isnan(mixture)
    assert rest.sum() >= mixture.size - SIZE
    np.testing.assert_array_equal(mixture[rest], known_mixture[rest])
