"""Layers of single images: decided by their seed alone, of known range, and what each may do."""

import numpy as np
import pytest
import tensorflow as tf

from vac_tf.inputs.augmentation import image_layers
from vac_tf.inputs.augmentation.specification import IMAGE_LAYERS, parse_layers

SIDE = 24
IMAGE = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype("float32")
SPECS = {
    "random_resized_crop": "random_resized_crop:0.3",
    "colour": "colour:0.4",
    "rand_augment": "rand_augment:2:9",
    "random_erasing": "random_erasing:0.5",
}


def drawn(layer, count, image=IMAGE, start=0, threads=1):
    """What a pipeline makes of an image with the seeds from `start` on."""
    seeds = tf.data.Dataset.range(start, start + count)
    images = seeds.map(
        lambda number: layer(tf.constant(image), tf.stack([number, 7])),
        threads,
        deterministic=True,
    )
    return np.stack(list(images.as_numpy_iterator()))


def layer_of(spec):
    (layer,) = parse_layers(spec).of_image
    return layer


@pytest.mark.parametrize(
    "name",
    [
        # Its graph holds 28 operations.
        pytest.param(name, marks=[pytest.mark.slow] * (name == "rand_augment"))
        for name in IMAGE_LAYERS
    ],
)
def test_a_draw_depends_on_its_seed_alone(name):
    layer, other = layer_of(SPECS[name]), layer_of(SPECS[name])
    images = drawn(layer, 12)
    assert images.shape == (12, SIDE, SIDE, 3) and images.dtype == np.float32
    assert images.min() >= 0.0 and images.max() <= 255.0
    np.testing.assert_array_equal(drawn(other, 4, start=8, threads=4), images[8:])
    assert len({image.tobytes() for image in images}) >= 6


def test_a_crop_of_the_whole_area_is_almost_the_image():
    ramp = np.broadcast_to(np.linspace(0, 255, SIDE, dtype="float32"), (SIDE, SIDE))
    ramp = np.repeat(ramp[..., None], 3, axis=-1)
    crops = drawn(layer_of("random_resized_crop:1"), 20, ramp)
    # Nothing but the aspect, of 3/4 at least, changes: a ramp keeps at least that much of itself.
    spans = crops[..., -1, 0] - crops[..., 0, 0]
    assert (spans >= 255 * np.sqrt(3 / 4) - 1e-3).all() and (spans <= 255.001).all()
    smaller = drawn(layer_of("random_resized_crop:0.1"), 40, ramp)
    spans = (smaller[..., -1, 0] - smaller[..., 0, 0])[:, 0]
    assert spans.min() < 0.6 * 255 and (spans >= 255 * np.sqrt(0.1 * 3 / 4) - 1e-3).all()
    assert (np.diff(smaller, axis=2) >= -1e-3).all()  # Neither mirrored nor rotated.


def test_colours_move_by_no_more_than_their_strength():
    grey = np.full((SIDE, SIDE, 3), 120.0, "float32")
    moved = drawn(layer_of("colour:0.2"), 40, grey)
    # Grey without structure has neither contrast nor saturation to change.
    shifts = moved[:, 0, 0, 0] - 120.0
    assert np.abs(shifts).max() <= 0.2 * 255 + 1e-3
    assert shifts.min() < -15 and shifts.max() > 15
    assert np.ptp(moved, axis=(1, 2, 3)).max() < 1e-2
    np.testing.assert_allclose(drawn(layer_of("colour:0"), 3), [IMAGE] * 3, atol=1e-2)


def test_contrast_and_saturation_rise_and_fall():
    half = np.full((SIDE, SIDE, 3), 100.0, "float32")
    half[: SIDE // 2] = 150.0
    contrast = np.ptp(drawn(layer_of("colour:0.2"), 40, half), axis=(1, 2, 3)) / 50.0
    red = np.full((SIDE, SIDE, 3), 100.0, "float32") + np.float32([20, 0, 0])
    images = drawn(image_layers._saturation(0.2), 40, red)
    saturation = np.ptp(images[:, 0, 0], axis=-1) / 20.0
    for ratio in (contrast, saturation):
        assert 0.79 <= ratio.min() < 0.9 and 1.1 < ratio.max() <= 1.21


def test_erasing_changes_a_rectangle_with_its_probability():
    black = np.zeros((SIDE, SIDE, 3), "float32")
    images = drawn(layer_of("random_erasing:0.25"), 120, black)
    erased = [image for image in images if image.any()]
    assert 12 <= len(erased) <= 50
    for image in erased:
        rows, columns = np.nonzero(image.any(axis=-1))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) / SIDE**2
        assert area <= 0.4
    assert not drawn(layer_of("random_erasing:0"), 20, black).any()


def test_every_operation_of_rand_augment_works_and_is_drawn():
    operations = image_layers._operations(0.9)
    assert len(operations) == 14
    image, seed = tf.constant(IMAGE), tf.constant([3, 5], tf.int64)
    results = [np.asarray(operation(image, seed)) for operation in operations]
    for result in results:
        assert result.shape == IMAGE.shape and np.isfinite(result).all()
    changed = [not np.array_equal(result, IMAGE) for result in results]
    assert changed[0] is False and sum(changed) == 13


def test_without_magnitude_only_what_has_no_strength_changes_an_image():
    """Contrast stretch and equalisation, whose strength the paper does not have either."""
    seed = tf.constant([3, 5], tf.int64)
    for number, operation in enumerate(image_layers._operations(0.0)):
        result = np.asarray(operation(tf.constant(IMAGE), seed))
        # Those two are the first of Keras's; posterisation rounds down to whole levels.
        if number not in (3, 4):
            np.testing.assert_allclose(result, IMAGE, atol=1.0, err_msg=str(number))
