"""How far a network's heatmaps follow its image: inconsistency under the transforms of Table 2."""

import logging
from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from vac_tf.geometry.transforms import HorizontalFlip, Rotation, Scaling, Transform, Translation
from vac_tf.inputs.prediction import inference, predicted_batches
from vac_tf.metrics.inconsistency import InconsistencyAccumulator
from vac_tf.models.dual_stream import STREAMS, with_stream_heatmaps
from vac_tf.models.stride import find_stride

_LOGGER = logging.getLogger(__name__)


def heatmap_strides(network: keras.Model) -> tuple[int, ...]:
    """Image pixels per cell of the heatmaps of each stream, found from the network's shapes.

    The heatmaps of the network itself are on the finest of these grids.

    Raises:
        ValueError: the cells are not as many along height and width as such a stride makes.
    """
    outputs = with_stream_heatmaps(network).output
    names = [f"{stream}_heatmaps" for stream in STREAMS if f"{stream}_heatmaps" in outputs]
    return tuple(
        find_stride(keras.Model(network.inputs[0], outputs[name]), network.name)
        for name in names or ["heatmaps"]
    )


def table2_transforms(
    network: keras.Model, image_size: int, resize_kernel: str, strides: tuple[int, ...]
) -> dict[str, Transform]:
    """Flip, scaling by 6/7, a quarter turn and a shift by one cell, however a network was trained.

    The scaled size is the multiple of the stride nearest to 6/7 but below the image's: 192 for
    224 pixels and 256 for 288, as in the paper. Small images leave out what has no heatmap: a
    smaller image of no cell, a shift of the only cell; a network of one image size is not measured
    at another. Of a network with two streams, "stride" and "cell" are those of the coarser grid: a
    smaller shift could not move its map by whole cells.

    Args:
        network: images -> `heatmaps`.
        image_size: Height and width of its images in pixels.
        resize_kernel: Of the scaling.
        strides: `heatmap_strides` of the network.
    """
    stride = max(strides)

    def cells(size):
        if network.inputs[0].shape[1] not in (None, size):
            return 0
        # InceptionV3 has fewer than size / stride, and takes no images below 75 pixels.
        try:
            shapes = network.compute_output_shape((1, size, size, 3))
        except ValueError:
            return 0
        return shapes["heatmaps"][1]

    scaled = round(image_size * 6 / 7 / stride) * stride
    scaled -= stride if scaled >= image_size else 0
    transforms = {"hflip": HorizontalFlip(), "rotate": Rotation(1)}
    if scaled and cells(scaled) >= 1:
        transforms["scale"] = Scaling(scaled, resize_kernel)
    if cells(image_size) * min(strides) > stride:
        transforms["translate"] = Translation(stride, 0)
    left_out = sorted({"scale", "translate"} - set(transforms))
    if left_out:
        _LOGGER.warning(
            "Not measured: %s. Images of %d pixels are too small, or the network takes no others.",
            *(left_out, image_size),
        )
    return transforms


def predict_and_compare(
    network: keras.Model, batches: Iterable, transforms: Mapping[str, Transform], stride: int = 1
) -> tuple[np.ndarray, dict]:
    """Logits of all images, and what their heatmaps become under transforms.

    Args:
        network: images -> `logits` and `heatmaps`.
        batches: Pairs of images `[B, S, S, 3]` and labels.
        transforms: By name.
        stride: Pixels per cell of its heatmaps, for the transforms.

    Returns:
        Logits float32 `[N, L]` in order, and the inconsistency under each transform, by its name.
    """
    forward = inference(network)
    accumulators = {name: InconsistencyAccumulator() for name in transforms}
    logits = []
    for images, _, outputs in predicted_batches(network, batches):
        logits.append(tf.cast(outputs["logits"], tf.float32).numpy())
        heatmaps = outputs["heatmaps"]
        for name, transform in transforms.items():
            transformed = forward(transform.images(images))["heatmaps"].numpy()
            accumulators[name].update(
                np.asarray(transform.heatmaps(heatmaps, stride)),
                transformed,
                transform.valid_mask(*heatmaps.shape[1:3], stride),
                original=heatmaps.numpy(),
            )
    results = {name: accumulator.result() for name, accumulator in accumulators.items()}
    return np.concatenate(logits), results
