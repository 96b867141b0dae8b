"""Test-time views: an image and its transforms through one network, brought back together."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from vac_tf.evaluation.heatmap_consistency import heatmap_strides
from vac_tf.geometry.tensors import Tensor
from vac_tf.geometry.transforms import Scaling, Transform, parse_transforms

Outputs = dict[str, Tensor]


def parse_views(text: str, resize_kernel: str = "bilinear") -> tuple[Transform, ...]:
    """The views beside the image itself, from text such as `"hflip,scale:256"`.

    Args:
        text: As `parse_transforms` reads it; empty: none.
        resize_kernel: Of `scale`.

    Raises:
        ValueError: as `parse_transforms`, or a transform whose heatmaps cannot be brought back.
    """
    try:
        transforms = parse_transforms(text, resize_kernel)
        for transform in transforms:
            transform.restored_heatmaps(np.zeros((1, 1, 1, 1), np.float32), 1, 1)
    except ValueError as error:
        raise ValueError(f"tta {text!r}: {error}") from error
    return transforms


def check_views(network: keras.Model, transforms: Sequence[Transform], size: int) -> None:
    """Finds out whether a network takes these views of its images.

    Args:
        network: Images `[B, H, W, 3]` -> `logits`, `heatmaps`.
        transforms: The views beside the image itself.
        size: Height and width of the images in pixels.

    Raises:
        ValueError: a view of the size of the images that is no other, or of a size that the network
            does not take.
    """
    image = np.zeros((1, size, size, 3), np.float32)
    for transform in transforms:
        view_size = tuple(transform.images(image).shape[1:3])
        if view_size != (size, size):
            _check_other_size(network, transform.spec, view_size)
        elif isinstance(transform, Scaling):
            raise ValueError(
                f"tta: {transform.spec} is the size of the images, and the image itself is always"
                " a view. Expected another size, or leave it out."
            )


def _check_other_size(network: keras.Model, spec: str, view_size: tuple[int, int]) -> None:
    fixed = network.inputs[0].shape[1:3]
    if None not in fixed:
        raise ValueError(
            f"tta: the network takes images of {fixed[0]}x{fixed[1]} pixels only, got {spec}. Leave"
            " it out, or train a network that takes any size."
        )
    stride = max(heatmap_strides(network))
    if min(view_size) < stride:
        raise ValueError(
            f"tta: {spec} is smaller than a cell of the network's heatmaps, {stride} pixels."
            " Expected a larger one."
        )
    try:
        network.compute_output_shape((1, *view_size, 3))
    except ValueError as error:  # InceptionV3 takes no images below 75 pixels.
        raise ValueError(f"tta: the network takes no images of {spec}: {error}") from error


class ViewAverage:
    """The mean of a network's outputs over an image and its views.

    Args:
        forward: Images `[B, H, W, 3]` -> outputs by name: `logits` `[B, L]`, maps `[B, h, w, L]`
            and vectors `[B, C]`.
        transforms: The views beside the image itself.
    """

    def __init__(self, forward: Callable[[Tensor], Outputs], transforms: Sequence[Transform]):
        self._forward = forward
        self._transforms = tuple(transforms)

    def __call__(self, images: Tensor) -> tuple[Outputs, Tensor]:
        """The mean of each output, maps brought back, and the logits of each view `[V, B, L]`.

        Args:
            images: float32 `[B, H, W, 3]`; H and W are known.
        """
        outputs = self._of_each_view(images)
        grids = {
            name: value.shape[1:3] for name, value in outputs[0].items() if len(value.shape) == 4
        }
        for transform, output in zip(self._transforms, outputs[1:], strict=True):
            for name, grid in grids.items():
                output[name] = transform.restored_heatmaps(output[name], *grid)
        columns = {name: [output[name] for output in outputs] for name in outputs[0]}
        means = {name: tf.add_n(values) / len(values) for name, values in columns.items()}
        return means, tf.stack(columns["logits"])

    def _of_each_view(self, images: Tensor) -> list[Outputs]:
        """The outputs of the image, then those of each transform, where the views have them."""
        views = [images, *(transform.images(images) for transform in self._transforms)]
        numbers_by_size: dict[tuple[int, ...], list[int]] = {}
        for number, view in enumerate(views):
            numbers_by_size.setdefault(tuple(view.shape[1:3]), []).append(number)
        outputs: list[Outputs] = [{} for _ in views]
        for numbers in numbers_by_size.values():
            # One larger batch: so the graph holds the network once a size, not once a view.
            together = self._forward(tf.concat([views[number] for number in numbers], axis=0))
            for name, values in together.items():
                parts = tf.reshape(values, (len(numbers), -1, *values.shape[1:]))
                for number, part in zip(numbers, tf.unstack(parts), strict=True):
                    outputs[number][name] = part
        return outputs


def agreement(probabilities: Tensor) -> Tensor:
    """How much views agree: 1 less the range of each probability, `[V, B, L]` -> `[B, L]`."""
    spread = tf.reduce_max(probabilities, axis=0) - tf.reduce_min(probabilities, axis=0)
    return 1.0 - spread


def with_views(network: keras.Model, transforms: Sequence[Transform], size: int) -> keras.Model:
    """The network that averages over an image and its views, as any other; nothing is copied.

    Args:
        network: Images `[B, H, W, 3]` -> `logits` `[B, L]`, `heatmaps` `[B, h, w, L]`.
        transforms: The views beside the image itself.
        size: Height and width of the images in pixels; the result takes no others.

    Raises:
        ValueError: as `check_views`.
    """
    check_views(network, transforms, size)
    images = keras.Input((size, size, 3), name="images")
    return keras.Model(images, _Views(network, transforms)(images), name=network.name)


class _Views(keras.layers.Layer):
    """`ViewAverage` as a layer: it makes a functional model, and is not saved."""

    def __init__(self, network, transforms):
        super().__init__(name="views", dtype="float32")
        self.network = network
        self._average = ViewAverage(
            lambda images: {name: network(images)[name] for name in ("logits", "heatmaps")},
            transforms,
        )

    def call(self, images):
        return self._average(images)[0]
