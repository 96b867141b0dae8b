"""Affine transforms: equal to exact ones where those exist, and to SciPy elsewhere."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from vac_tf.geometry.transforms import Affine, Rotation, VerticalFlip, parse_transforms

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)).astype("float32")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_those_of_rotate(turns):
    turned = Affine(90 * turns)
    np.testing.assert_array_equal(turned.images(IMAGES), Rotation(turns).images(IMAGES))
    assert turned.valid_mask(12, 12).all()


def test_a_negative_scale_is_a_flip():
    np.testing.assert_array_equal(
        Affine(scale_rows=-1).images(IMAGES), VerticalFlip().images(IMAGES)
    )


@pytest.mark.parametrize(
    "affine", [Affine(20), Affine(-35, 0.8, 1.3, 0.2, 0.1, -0.05), Affine(shear=0.5)]
)
def test_sampling_is_scipys(affine):
    """`scipy.ndimage.affine_transform` of each channel, from target to source."""
    angle = np.radians(affine.degrees)
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scale = [[affine.scale_rows, 0], [affine.shear, affine.scale_columns]]
    inverse = np.linalg.inv(np.array(rotation) @ scale)
    images = IMAGES[:, :, :10]
    centre = (np.array(images.shape[1:3]) - 1) / 2
    shift = np.array([affine.rows, affine.columns]) * images.shape[1:3]
    offset = centre - inverse @ (centre + shift)
    moved = np.asarray(affine.images(images))
    mask = affine.valid_mask(12, 10).astype(bool)
    assert 0.2 < mask.mean() < 1
    for image in range(2):
        for channel in range(3):
            expected = scipy.ndimage.affine_transform(
                images[image, :, :, channel], inverse, offset, order=1
            )
            difference = np.abs(moved[image, :, :, channel] - expected)[mask]
            assert difference.max() < 0.01


def test_the_gradient_is_the_transposed_transform():
    affine = Affine(30, shear=0.1)
    values = tf.Variable(IMAGES)
    weights = np.random.default_rng(1).normal(size=IMAGES.shape).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(affine.heatmaps(values) * weights)
    gradient = tape.gradient(total, values)
    # Linear in its input: <A x, w> = <x, A^T w>.
    assert float(tf.reduce_sum(gradient * values)) == pytest.approx(float(total), rel=1e-3)


def test_numbers_are_written_as_they_are_read():
    spec = "affine:-12.5:1:0.9:0:0.1:-0.333333333"
    (affine,) = parse_transforms(spec)
    assert affine.spec == spec and affine.kind == "affine"
    assert parse_transforms(affine.spec) == (affine,)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("0:1:1:0:0:0", "changes nothing"),
        ("0:0:1:0:0:0", "other numbers than 0"),
        ("nan:1:1:0:0:0", "takes finite numbers"),
        ("1:2", "expected affine:DEGREES:SCALE_ROWS:SCALE_COLUMNS:SHEAR:ROWS:COLUMNS"),
        ("a:1:1:0:0:0", "expected numbers, as in affine:DEGREES"),
    ],
)
def test_what_is_no_affine_transform_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        parse_transforms(f"affine:{numbers}")
    with pytest.raises(ValueError, match="covers no cell"):
        Affine(rows=1.5).valid_mask(4, 4)
