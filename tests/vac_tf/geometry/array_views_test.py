"""Views without TensorFlow: those of the transforms, and heatmaps that come back to their place."""

import numpy as np
import pytest

from vac_tf.configs.viewed_model import VIEWS
from vac_tf.geometry.array_views import Frame, views_of
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.metrics.inconsistency import mean_squared_map_difference

STRIDE = 8


def frame(**values):
    return Frame(
        **{"height": 56, "width": 56, "stride": STRIDE, "takes_other_sizes": True} | values
    )


@pytest.mark.parametrize("kernel", ["bilinear", "nearest"])
def test_views_are_those_of_the_transforms(kernel):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (2, 56, 56, 3)).astype("float32")
    views, left_out = views_of(VIEWS, frame(resize_kernel=kernel))
    assert not left_out and [view.kind for view in views] == list(VIEWS)
    for view in views:
        (transform,) = parse_transforms(view.spec, kernel)
        expected = np.asarray(transform.images(images))
        np.testing.assert_allclose(view.images(images), expected, atol=2e-4, err_msg=view.spec)


@pytest.mark.parametrize("kind", VIEWS)
def test_differences_are_those_of_the_transforms(kind):
    random = np.random.default_rng(1)
    (view,), _ = views_of([kind], frame())
    (transform,) = parse_transforms(view.spec)
    heatmaps = random.normal(size=(3, 7, 7, 4)).astype("float32")
    size = 6 if kind == "scale" else 7
    of_view = random.normal(size=(3, size, size, 4)).astype("float32")
    expected = mean_squared_map_difference(
        np.asarray(transform.heatmaps(heatmaps, STRIDE)),
        of_view,
        transform.valid_mask(7, 7, STRIDE),
    )
    found = mean_squared_map_difference(heatmaps, view.back(of_view), view.seen(7, 7))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_follows_the_image_comes_back_unchanged():
    """Heatmaps that are the image itself, a cell the mean of its pixels."""
    cells = np.random.default_rng(2).uniform(0, 255, (1, 7, 7, 3)).astype("float32")
    images = cells.repeat(STRIDE, axis=1).repeat(STRIDE, axis=2)

    def heatmaps(images):
        batch, height, width, _ = images.shape
        shape = batch, height // STRIDE, STRIDE, width // STRIDE, STRIDE, 3
        return images.reshape(shape).mean(axis=(2, 4))

    views, _ = views_of(["hflip", "rotate", "translate"], frame())
    for view in views:
        back = view.back(heatmaps(view.images(images)))
        assert mean_squared_map_difference(cells, back, view.seen(7, 7)).max() < 1e-6, view


def test_a_smaller_image_on_black_has_the_heatmap_of_the_smaller_image():
    images = np.random.default_rng(3).uniform(0, 255, (1, 56, 56, 3)).astype("float32")
    (alone,), _ = views_of(["scale"], frame())
    (on_black,), _ = views_of(["scale"], frame(takes_other_sizes=False))
    view = on_black.images(images)
    assert view.shape == images.shape and not view[:, 48:].any() and not view[:, :, 48:].any()
    np.testing.assert_array_equal(view[:, :48, :48], alone.images(images))
    assert on_black.back(np.zeros((1, 7, 7, 2))).shape == (1, 6, 6, 2)


def test_what_a_network_cannot_be_shown_is_left_out_with_the_reason():
    _, left_out = views_of(VIEWS, frame(width=64))
    assert "square" in left_out["rotate"]
    _, left_out = views_of(VIEWS, frame(stride=None))
    assert set(left_out) == {"scale", "translate"}
    _, left_out = views_of(VIEWS, frame(stride=56))
    assert set(left_out) == {"scale", "translate"} and "no cell" in left_out["scale"]
    with pytest.raises(ValueError, match="hlfip.*Expected some of: hflip, scale"):
        views_of(["hlfip"], frame())
