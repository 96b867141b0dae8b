"""A residual network of about one million weights that trains from scratch in minutes."""

import keras
from keras import layers


def small_network(input_shape=(None, None, 3), weights=None, include_top=False):
    """Pre-activation residual network, output stride 16, 160 channels, 0.97 M weights.

    One 5x5 stem and three stages of two 3x3 blocks (He et al., Identity Mappings in Deep Residual
    Networks, 2016); every stage halves the resolution. Stride 16 gives a 96-pixel image 6x6
    heatmap cells where stride 32 would give 3x3.

    Args:
        input_shape: `(height, width, 3)`, height and width may be None.
        weights: Path of a weight file, or None for random initial weights.
        include_top: Must be False: the head is a layer of its own.

    Returns:
        Functional `keras.Model`: normalised images -> features `[B, H/16, W/16, 160]`.
    """
    if include_top:
        raise ValueError("The small network has no classifier of its own; use include_top=False.")
    images = keras.Input(input_shape, name="images")
    features = layers.Conv2D(32, 5, strides=2, padding="same", use_bias=False, name="stem")(images)
    for stage, channels in enumerate((32, 64, 160)):
        features = _block(features, channels, 2, f"stage{stage}_block0")
        features = _block(features, channels, 1, f"stage{stage}_block1")
    features = layers.BatchNormalization(name="last_normalization")(features)
    features = layers.Activation("relu", name="last_activation")(features)
    network = keras.Model(images, features, name="small")
    if weights is not None:
        network.load_weights(weights)
    return network


def _block(inputs, channels, strides, name):
    """relu(norm) -> conv -> relu(norm) -> conv, added to a (projected) shortcut."""
    activated = layers.BatchNormalization(name=f"{name}_normalization0")(inputs)
    activated = layers.Activation("relu", name=f"{name}_activation0")(activated)
    shortcut = inputs
    if strides != 1 or inputs.shape[-1] != channels:
        shortcut = layers.Conv2D(
            channels, 1, strides=strides, use_bias=False, name=f"{name}_shortcut"
        )(activated)
    features = layers.Conv2D(
        channels, 3, strides=strides, padding="same", use_bias=False, name=f"{name}_conv0"
    )(activated)
    features = layers.BatchNormalization(name=f"{name}_normalization1")(features)
    features = layers.Activation("relu", name=f"{name}_activation1")(features)
    features = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_conv1")(
        features
    )
    return layers.Add(name=f"{name}_add")([features, shortcut])
