"""Networks averaged: their weights, or what they say."""

from collections.abc import Sequence

import keras
import numpy as np

_SHOWN = 5


def averaged_weights(networks: Sequence[keras.Model]) -> keras.Model:
    """A copy of the first network with the mean of all weights; batch statistics among them.

    Means are taken in float64. The statistics belong to no network then and must be measured anew.
    """
    stacks = zip(*(network.get_weights() for network in networks), strict=True)
    average = keras.models.clone_model(networks[0])
    average.set_weights(
        [np.mean(stack, axis=0, dtype=np.float64).astype(stack[0].dtype) for stack in stacks]
    )
    return average


def averaged_outputs(networks: Sequence[keras.Model]) -> keras.Model:
    """One network that shows each image to all and averages their logits and heatmaps.

    Returns:
        `images` -> `logits` `[B, L]` and `heatmaps` `[B, h, w, L]`; with average pooling the mean
        of a heatmap and the mean bias are its logit still.
    """
    shape = networks[0].inputs[0].shape[1:]
    images = keras.Input(shape, name="images")
    outputs = []
    for number, network in enumerate(networks):
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        copy.name = f"network_{number}"
        outputs.append(copy(images))
    mean = {
        name: keras.layers.Average(name=name, dtype="float32")([each[name] for each in outputs])
        for name in ("heatmaps", "logits")
    }
    return keras.Model(images, mean)


def check_alike(
    networks: Sequence[keras.Model], names: Sequence[str], outputs_of_size: int = 0
) -> None:
    """Raises ValueError for networks that cannot be averaged; the misfits are listed.

    Args:
        networks: of the runs.
        names: of the runs.
        outputs_of_size: image size in pixels where heatmaps and logits are averaged; 0: weights.
    """
    first = _shapes(networks[0], outputs_of_size)
    for network, name in zip(networks[1:], names[1:], strict=True):
        other = _shapes(network, outputs_of_size)
        misfits = [
            f"{ours[0]} {ours[1]} against {theirs[0]} {theirs[1]}"
            for ours, theirs in zip(first, other, strict=False)
            if ours[1] != theirs[1]
        ]
        if misfits or len(first) != len(other):
            what = "outputs" if outputs_of_size else "weights"
            raise ValueError(
                f"{name!r} has another network than {names[0]!r}: {len(first)} and {len(other)}"
                f" {what}; {'; '.join(misfits[:_SHOWN]) or 'those in common are alike'}."
            )


def _shapes(network, outputs_of_size):
    if outputs_of_size:
        output = network(keras.Input((outputs_of_size, outputs_of_size, 3)))
        return [(name, tuple(output[name].shape)) for name in ("heatmaps", "logits")]
    return [(weight.path, tuple(weight.shape)) for weight in network.weights]
