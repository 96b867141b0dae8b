"""EfficientNet-Lite: EfficientNet for quantised inference on small devices.

R. Liu, *Higher accuracy on vision models with EfficientNet-Lite*, TensorFlow blog, March 2020, and
its published code (tensorflow/tpu, efficientnet/lite): EfficientNet (Tan and Le, ICML 2019) with
ReLU6 for swish, without squeeze-and-excitation, and with a stem, a first and a last stage and a
head that do not grow with the scale.
"""

import dataclasses
import math

import keras
from keras import layers

from vac_tf.models.weights.efficientnet_lite import CLASSIFIER_LAYER, load_imagenet_weights


@dataclasses.dataclass(frozen=True)
class Scale:
    """How a variant scales Lite0.

    `width` multiplies the channels of every stage, `depth` the blocks of all but the first and the
    last; `dropout` is the rate before the classifier.
    """

    width: float
    depth: float
    dropout: float


SCALES = {
    "efficientnet_lite0": Scale(1.0, 1.0, 0.2),
    "efficientnet_lite1": Scale(1.0, 1.1, 0.2),
    "efficientnet_lite2": Scale(1.1, 1.2, 0.3),
}
NUM_CLASSES = 1000

# Of Lite0, by stage: blocks, kernel, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280
# Of the last block under stochastic depth; it grows linearly from 0 at the first one.
_HIGHEST_DROP_RATE = 0.2


def efficientnet_lite(
    variant: str, input_shape=(None, None, 3), weights=None, include_top=False
) -> keras.Model:
    """EfficientNet-Lite0, -Lite1 or -Lite2, output stride 32, 1280 channels.

    3.4, 4.1 and 4.8 million weights without the classifier. "Same" padding is TensorFlow's: of a
    stride of 2 and an even size all of it is at the bottom and on the right.

    Args:
        variant: A key of `SCALES`.
        input_shape: `(height, width, 3)`, height and width may be None.
        weights: `"imagenet"` (of an installed package, see `requirements-pretrained.txt`), or None
            for random initial weights.
        include_top: End with the classifier of ImageNet's 1000 classes.

    Returns:
        Functional `keras.Model`: normalised images `[B, H, W, 3]`, which are `(x - 127) / 128` of
        0..255, -> features `[B, H/32, W/32, 1280]`, or logits `[B, 1000]` with `include_top`.

    Raises:
        ValueError: the package of the weights is missing, or what it holds does not fit.
    """
    scale = SCALES[variant]
    images = keras.Input(input_shape, name="images")
    features = _convolution(images, "stem", _STEM_CHANNELS, 3, strides=2)
    blocks = _blocks(scale)
    for index, block in enumerate(blocks):
        drop_rate = _HIGHEST_DROP_RATE * index / len(blocks)
        features = _inverted_residual(features, f"block{index}", drop_rate, *block)
    features = _convolution(features, "head", _HEAD_CHANNELS, 1)
    if include_top:
        features = layers.GlobalAveragePooling2D(name="pooling")(features)
        features = layers.Dropout(scale.dropout, name="dropout")(features)
        features = layers.Dense(NUM_CLASSES, name=CLASSIFIER_LAYER)(features)
    network = keras.Model(images, features, name=variant)
    if weights == "imagenet":
        load_imagenet_weights(network)
    return network


def _blocks(scale):
    """`(kernel, strides, expansion, channels)` of every block."""
    blocks = []
    for stage, (count, kernel, strides, expansion, channels) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            count = math.ceil(scale.depth * count)
        channels = _scaled_channels(channels, scale.width)
        blocks.append((kernel, strides, expansion, channels))
        blocks += [(kernel, 1, expansion, channels)] * (count - 1)
    return blocks


def _scaled_channels(channels, width):
    """The multiple of 8 nearest to `width * channels`, unless it were more than 10 % below."""
    scaled = width * channels
    nearest = max(8, int(scaled + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * scaled else nearest


def _inverted_residual(inputs, name, drop_rate, kernel, strides, expansion, channels):
    """1x1 to more channels, depthwise, 1x1 back without activation; added to its input."""
    features = inputs
    if expansion != 1:
        wide = expansion * inputs.shape[-1]
        features = _convolution(features, f"{name}_expansion", wide, 1)
    features = layers.DepthwiseConv2D(
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise",
    )(features)
    features = _normalized(features, f"{name}_depthwise")
    features = _convolution(features, f"{name}_projection", channels, 1, activated=False)
    if strides != 1 or inputs.shape[-1] != channels:
        return features
    # Stochastic depth: one draw an image.
    features = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}_dropout")(
        features
    )
    return layers.Add(name=f"{name}_add")([features, inputs])


def _convolution(inputs, name, channels, kernel, strides=1, activated=True):
    features = layers.Conv2D(
        channels,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(inputs)
    return _normalized(features, name, activated)


def _normalized(inputs, name, activated=True):
    features = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normalization")(inputs)
    return layers.ReLU(6.0, name=f"{name}_activation")(features) if activated else features


def _initializer():
    """A new one a layer: used twice, one gives the same numbers twice."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
