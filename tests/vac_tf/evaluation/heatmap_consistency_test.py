"""Strides are found from a network's shapes, of each of its streams."""

import keras
import pytest

from tests.vac_tf.models.dual_stream_test import LABELS, stream
from vac_tf.evaluation.heatmap_consistency import heatmap_strides, table2_transforms
from vac_tf.models import build_classifier, build_dual_stream


@pytest.mark.parametrize("size", [None, 48])
@pytest.mark.parametrize("strides", [(4, 4), (4, 16), (8, 4)])
def test_a_shift_moves_both_streams_by_whole_cells(strides, size):
    streams = [stream(5, stride, size) for stride in strides]
    network = build_dual_stream(*streams, LABELS)
    assert heatmap_strides(network) == strides
    transforms = table2_transforms(network, 48, "bilinear", strides)
    assert transforms["translate"].spec == f"translate:{max(strides)}:0"
    assert ("scale" in transforms) == (size is None)


@pytest.mark.parametrize("size", [None, 64])
def test_one_stream_has_one_stride(tiny_backbone, size):
    assert heatmap_strides(build_classifier(tiny_backbone, 2, size)) == (16,)


def test_a_grid_that_no_stride_makes_is_refused():
    images = keras.Input((40, 40, 3))
    maps = keras.layers.Conv2D(2, (4, 8), strides=(4, 8))(images)
    logits = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(images, {"logits": logits, "heatmaps": maps}, name="oblong")
    with pytest.raises(ValueError, match="'oblong' makes .*the same whole stride along height"):
        heatmap_strides(network)
