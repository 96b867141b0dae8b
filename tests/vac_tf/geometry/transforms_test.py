"""Transforms: eagerly, in graphs and in tf.data; heatmaps must follow images exactly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf.geometry.transforms import (
    Affine,
    HorizontalFlip,
    Rotation,
    Scaling,
    Transform,
    Translation,
    VerticalFlip,
    parse_transforms,
    parse_weights,
)
from vac_tf.losses.multilabel import attention_consistency

STRIDE = 8
EVERY = [
    HorizontalFlip(),
    Rotation(1),
    Rotation(2),
    Rotation(3),
    Translation(STRIDE, 0),
    Translation(-STRIDE, 2 * STRIDE),
    VerticalFlip(),
    Affine(90),
    Affine(degrees=-90, scale_columns=-1, rows=0.25),
    Affine(columns=-0.5),
    Scaling(24),
    Scaling(24, "nearest"),
]


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def pointwise_network():
    """Equivariant by construction: mean over each cell, then one map of channels to labels.

    Whole numbers and a power of two as divisor make all of it exact in float32.
    """
    inputs = keras.Input((None, None, 3))
    cells = keras.layers.AveragePooling2D(STRIDE)(inputs)
    head = keras.layers.Conv2D(5, 1, use_bias=False)
    network = keras.Model(inputs, head(cells))
    head.set_weights([np.random.default_rng(1).integers(-9, 10, (1, 1, 3, 5)).astype("float32")])
    return network


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: f"{t.spec} {getattr(t, 'kernel', '')}")
def test_eager_graph_and_dataset_give_equal_images(transform, images):
    eager = np.asarray(transform.images(images))
    in_graph = tf.function(transform.images)(tf.constant(images))
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(3).map(transform.images)
    (in_dataset,) = dataset.as_numpy_iterator()
    np.testing.assert_array_equal(in_graph, eager)
    np.testing.assert_array_equal(in_dataset, eager)
    assert dataset.element_spec.shape[1:] == eager.shape[1:]


@pytest.mark.parametrize("transform", EVERY[:10], ids=lambda t: t.spec)
def test_heatmaps_of_a_pointwise_network_follow_exactly(transform, images, pointwise_network):
    heatmaps = pointwise_network(images)
    expected = transform.heatmaps(heatmaps, STRIDE)
    transformed = pointwise_network(transform.images(images))
    mask = transform.valid_mask(*heatmaps.shape[1:3], STRIDE)
    covered = {"translate:8:0": 12, "translate:-8:16": 6, "affine:-90:1:-1:0:0.25:0": 12}
    covered["affine:0:1:1:0:0:-0.5"] = 8
    assert mask.sum() == covered.get(transform.spec, 16)
    np.testing.assert_array_equal(attention_consistency(expected, transformed, mask), [0.0] * 3)
    # The test can fail: heatmaps that stay where they were are far off.
    assert (attention_consistency(heatmaps, transformed, mask).numpy() > 1.0).all()


@pytest.mark.parametrize("size, scaled, block", [(32, 16, 16), (32, 48, 16), (48, 32, 24)])
def test_nearest_scaling_is_exact_on_blocks_aligned_to_both_grids(
    size, scaled, block, pointwise_network
):
    blocks = np.random.default_rng(2).integers(0, 256, (2, size // block, size // block, 3))
    images = blocks.repeat(block, axis=1).repeat(block, axis=2).astype("float32")
    transform = Scaling(scaled, "nearest")
    heatmaps = pointwise_network(images)
    transformed = pointwise_network(transform.images(images))
    assert transformed.shape[1] == scaled // STRIDE
    result = attention_consistency(transform.heatmaps(heatmaps, STRIDE), transformed)
    np.testing.assert_array_equal(result, [0.0, 0.0])


def test_transforms_undo_each_other(images):
    def chain(*transforms):
        result = images
        for transform in transforms:
            result = transform.images(result)
        return np.asarray(result)

    np.testing.assert_array_equal(chain(HorizontalFlip(), HorizontalFlip()), images)
    np.testing.assert_array_equal(chain(Rotation(1), Rotation(3)), images)
    np.testing.assert_array_equal(chain(Rotation(2), Rotation(2)), images)
    np.testing.assert_array_equal(chain(Rotation(1), Rotation(1)), chain(Rotation(2)))
    there_and_back = chain(Translation(5, -7), Translation(-5, 7))
    np.testing.assert_array_equal(there_and_back[:, :27, 7:], images[:, :27, 7:])
    assert not there_and_back[:, 27:].any() and not there_and_back[:, :, :7].any()


@pytest.mark.parametrize(
    "transform", parse_transforms("hflip,vflip,rotate:1,rotate:2,rotate:3,scale:24"), ids=repr
)
def test_heatmaps_are_brought_back(transform, images, pointwise_network):
    heatmaps = np.random.default_rng(2).normal(size=(3, 4, 4, 5)).astype("float32")
    moved = transform.heatmaps(heatmaps, STRIDE)
    np.testing.assert_array_equal(transform.restored_heatmaps(moved, 4, 4), heatmaps)
    if not isinstance(transform, Scaling):
        of_view = pointwise_network(transform.images(images))
        restored = transform.restored_heatmaps(of_view, 4, 4)
        np.testing.assert_array_equal(restored, pointwise_network(images))


@pytest.mark.parametrize("size", [16, 24, 48, 64])
def test_heatmaps_of_another_size_lie_where_those_of_the_image_do(size, pointwise_network):
    images = np.broadcast_to(8.0 * np.arange(32.0)[:, None, None], (1, 32, 32, 3)).astype("float32")
    own = np.asarray(pointwise_network(images))
    scaling = Scaling(size)
    restored = scaling.restored_heatmaps(pointwise_network(scaling.images(images)), 4, 4)
    assert restored.shape == own.shape
    step = np.abs(own[:, 1] - own[:, 0]).max(axis=(0, 1))
    # Half a cell at the border, where the coarser grid has nothing more to say.
    assert (np.abs(restored - own) <= 0.51 * step).all()
    np.testing.assert_allclose(np.asarray(restored)[:, 1:3], own[:, 1:3], atol=0.26 * step.max())


def test_a_constant_heatmap_stays_so_on_another_grid():
    for cells in (1, 3, 6):
        restored = Scaling(24).restored_heatmaps(np.full((2, cells, cells, 3), 1.5), 4, 4)
        assert restored.shape == (2, 4, 4, 3)
        np.testing.assert_allclose(restored, 1.5, rtol=1e-6)


@pytest.mark.parametrize("spec", ["translate:8:0", "affine:10:1:1:0:0:0", "splice:2"])
def test_heatmaps_that_cannot_be_brought_back_are_refused(spec):
    (transform,) = parse_transforms(spec)
    with pytest.raises(ValueError, match=f"Heatmaps of {spec} cannot be brought back.*hflip"):
        transform.restored_heatmaps(np.zeros((1, 4, 4, 2)), 4, 4)


def test_a_view_of_another_grid_is_not_taken_for_the_image():
    for transform in (HorizontalFlip(), VerticalFlip(), Rotation(1)):
        with pytest.raises(ValueError, match=f"Heatmaps of {transform.spec} have .*expected 4x4"):
            transform.restored_heatmaps(np.zeros((1, 3, 4, 2), "float32"), 4, 4)


def test_directions(images):
    np.testing.assert_array_equal(HorizontalFlip().images(images), images[:, :, ::-1])
    np.testing.assert_array_equal(Rotation(1).images(images), np.rot90(images, axes=(1, 2)))
    moved = np.asarray(Translation(3, -2).images(images))
    np.testing.assert_array_equal(moved[:, 3:, :-2], images[:, :-3, 2:])
    assert not moved[:, :3].any() and not moved[:, :, -2:].any()


def test_shift_by_the_whole_image_is_black(images):
    assert not np.asarray(Translation(32, 0).images(images)).any()
    assert not np.asarray(Translation(0, -40).images(images)).any()


def test_flip_of_heatmaps_of_any_shape():
    heatmaps = np.random.default_rng(0).random((2, 3, 5, 4)).astype("float32")
    np.testing.assert_array_equal(HorizontalFlip().heatmaps(heatmaps), heatmaps[:, :, ::-1])


def test_misaligned_translation_is_refused():
    transform = Translation(12, 0)
    for use in (
        lambda: transform.heatmaps(np.zeros((1, 4, 4, 1), "float32"), STRIDE),
        lambda: transform.valid_mask(4, 4, STRIDE),
    ):
        with pytest.raises(ValueError, match="translate:12:0 must shift by multiples .* 8 pixels"):
            use()


def test_translation_that_leaves_no_cell_is_refused():
    with pytest.raises(ValueError, match="moves all of a 4x4 heatmap"):
        Translation(4 * STRIDE, 0).valid_mask(4, 4, STRIDE)


def test_rotation_needs_square_images_and_quarter_turns():
    with pytest.raises(ValueError, match="square images, got 4x6"):
        Rotation(1).images(np.zeros((1, 4, 6, 3), "float32"))
    with pytest.raises(ValueError, match="1, 2 or 3 quarter turns .* got 4"):
        Rotation(4)


def test_parsed_transforms_say_how_they_are_written():
    text = "hflip,scale:192,rotate:1,translate:32:-64"
    transforms = parse_transforms(text, "nearest")
    assert ",".join(t.spec for t in transforms) == text
    assert transforms == (
        HorizontalFlip(),
        Scaling(192, "nearest"),
        Rotation(1),
        Translation(32, -64),
    )
    assert [t.term for t in transforms][1] == "consistency_scale_192"
    assert parse_transforms("") == () and parse_transforms(" hflip , ") == (HorizontalFlip(),)


@pytest.mark.parametrize(
    "text, message",
    [
        ("hlfip", r"Unknown transform 'hlfip'. Known transforms: hflip, vflip, scale:PIXELS"),
        ("hflip:1", "'hflip:1': expected hflip"),
        ("scale", "'scale': expected scale:PIXELS"),
        ("rotate:1:2", "expected rotate:QUARTER_TURNS"),
        ("translate:32", "expected translate:ROWS:COLUMNS"),
        ("scale:big", "whole numbers, as in scale:PIXELS"),
        ("rotate:0.5", "whole numbers"),
        ("rotate:5", "1, 2 or 3"),
        ("scale:0", "at least 1 pixel, got 0"),
        ("hflip,scale:64,hflip", "named twice"),
    ],
)
def test_bad_transforms_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_transforms(text)


def test_parsed_weights():
    transforms = parse_transforms("hflip,scale:192,rotate:1,rotate:2")
    assert parse_weights("0.5", transforms) == {t.spec: 0.5 for t in transforms}
    weights = parse_weights("hflip:0.6, scale:0.8,rotate:0", transforms)
    assert weights == {"hflip": 0.6, "scale:192": 0.8, "rotate:1": 0.0, "rotate:2": 0.0}
    assert parse_weights("1", ()) == {}


@pytest.mark.parametrize(
    "text, message",
    [
        ("much", "expected one number"),
        ("", "expected one number"),
        ("hflip:a,scale:1", "expected one number"),
        ("hflip:1:2,scale:1", "expected one number"),
        ("-1", "finite and not negative"),
        ("nan", "finite and not negative"),
        ("hflip:1,scale:inf", "finite and not negative"),
        ("hflip:1", r"names \['hflip'\], but the transforms are \['hflip', 'scale'\]"),
        ("hflip:1,scale:1,rotate:1", "but the transforms are"),
        ("hflip:1,scale:1,hflip:2", "named twice"),
    ],
)
def test_bad_weights_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_weights(text, parse_transforms("hflip,scale:192"))


def test_a_transform_without_spec_is_a_fault_of_the_program():
    with pytest.raises(TypeError, match="must define spec"):
        _ = Transform().kind
