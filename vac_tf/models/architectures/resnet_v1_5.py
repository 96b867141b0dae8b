"""PyTorch's ResNet (version 1.5), the backbone of both papers.

Version 1 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016; `keras.applications`)
halves the resolution in the first 1x1 convolution of a block and so never looks at three quarters
of its input; version 1.5 halves it in the 3x3 convolution. The convolutions have no biases, which
the normalisation after them would cancel, and strided windows are padded on all sides, where
TensorFlow's `"same"` pads below and to the right only.
"""

import functools

import keras
from keras import layers

# torchvision's: He et al., Delving Deep into Rectifiers, ICCV 2015, over the outputs.
_INITIALIZER = functools.partial(
    keras.initializers.VarianceScaling, 2.0, "fan_out", "untruncated_normal"
)
_TORCH_PARTS = {
    "conv": "conv1",
    "normalization": "bn1",
    "shortcut": "downsample.0",
    "shortcut_normalization": "downsample.1",
    **{f"conv{number}": f"conv{number}" for number in (1, 2, 3)},
    **{f"normalization{number}": f"bn{number}" for number in (1, 2, 3)},
}


def resnet_v1_5(blocks, name, input_shape=(None, None, 3), weights=None, include_top=False):
    """A residual network of bottleneck blocks, output stride 32, 2,048 channels.

    Args:
        blocks: Blocks of each of the four stages: (3, 4, 6, 3) is ResNet-50.
        name: Of the network.
        input_shape: `(height, width, 3)`, height and width may be None.
        weights: Path of a Keras weight file, or None for random initial weights.
        include_top: Must be False: the head is a layer of its own.

    Returns:
        Functional `keras.Model`: normalised images -> features `[B, H/32, W/32, 2048]`.
    """
    if include_top:
        raise ValueError(f"{name} has no classifier of its own here; use include_top=False.")
    images = keras.Input(input_shape, name="images")
    features = layers.ZeroPadding2D(3, name="stem_pad")(images)
    features = _convolution(features, 64, 7, 2, "stem_conv")
    features = _normalization(features, "stem_normalization")
    features = layers.Activation("relu", name="stem_activation")(features)
    # After the ReLU a border of zeros can win a maximum no more than PyTorch's of -infinity.
    features = layers.ZeroPadding2D(1, name="stem_pool_pad")(features)
    features = layers.MaxPooling2D(3, strides=2, name="stem_pool")(features)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            strides = 2 if stage > 1 and block == 0 else 1
            width = 64 * 2 ** (stage - 1)
            features = _block(features, width, strides, block == 0, f"stage{stage}_block{block}")
    network = keras.Model(images, features, name=name)
    if weights is not None:
        network.load_weights(weights)
    return network


resnet50_v1_5 = functools.partial(resnet_v1_5, (3, 4, 6, 3), "resnet50_v1_5")
resnet101_v1_5 = functools.partial(resnet_v1_5, (3, 4, 23, 3), "resnet101_v1_5")


def torch_name(layer_name: str) -> str:
    """What torchvision and timm call a layer: `stage1_block0_conv2` is `layer1.0.conv2`."""
    if layer_name.startswith("stem_"):
        return _TORCH_PARTS[layer_name.removeprefix("stem_")]
    stage, block, part = layer_name.split("_", 2)
    return f"layer{stage.removeprefix('stage')}.{block.removeprefix('block')}.{_TORCH_PARTS[part]}"


def _block(inputs, width, strides, projects, name):
    """1x1, 3x3 (strided) and 1x1 convolution, added to a (projected) shortcut."""
    shortcut = inputs
    if projects:
        shortcut = _convolution(inputs, 4 * width, 1, strides, f"{name}_shortcut")
        shortcut = _normalization(shortcut, f"{name}_shortcut_normalization")
    features = _convolution(inputs, width, 1, 1, f"{name}_conv1")
    features = _normalization(features, f"{name}_normalization1")
    features = layers.Activation("relu", name=f"{name}_activation1")(features)
    if strides > 1:
        features = layers.ZeroPadding2D(1, name=f"{name}_pad")(features)
    features = _convolution(features, width, 3, strides, f"{name}_conv2")
    features = _normalization(features, f"{name}_normalization2")
    features = layers.Activation("relu", name=f"{name}_activation2")(features)
    features = _convolution(features, 4 * width, 1, 1, f"{name}_conv3")
    features = _normalization(features, f"{name}_normalization3")
    features = layers.Add(name=f"{name}_add")([features, shortcut])
    return layers.Activation("relu", name=f"{name}_activation")(features)


def _convolution(inputs, filters, size, strides, name):
    # Without strides `"same"` pads alike on all sides; with them a layer before has padded.
    padding = "same" if strides == 1 else "valid"
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding,
        use_bias=False,
        kernel_initializer=_INITIALIZER(),
        name=name,
    )(inputs)


def _normalization(inputs, name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(inputs)
