"""Augmentation of one image that keeps its labels.

Each function takes its numbers and returns a function of an image float32 RGB in 0..255
`[H, W, 3]` and a seed int64 `[2]`, which gives such an image of the same size.
"""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from vac_tf.inputs.augmentation.seeded_layer import SeededLayer, derived_seed, uniform

ImageLayer = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# How much of the largest strength a RandAugment of magnitude 10 has (Cubuk et al., 2020; its
# ranges are those of AutoAugment, 2019, Table 6).
_SHEAR, _SHIFT, _DEGREES, _COLOUR, _LOST_BITS = 0.3, 0.45, 30.0, 0.9, 4


def random_resized_crop(smallest_area: float) -> ImageLayer:
    """A crop of at least this share of the area and an aspect of 3/4 to 4/3, resized bilinearly.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, Section 6. The crop is taken from
    the network's input and not from the photograph: it holds no more detail than that.
    """
    widest = math.log(4 / 3)

    def crop(image, seed):
        area = uniform(derived_seed(seed, 0), smallest_area, 1.0)
        aspect = tf.exp(uniform(derived_seed(seed, 1), -widest, widest))
        height = tf.minimum(tf.sqrt(area / aspect), 1.0)
        width = tf.minimum(tf.sqrt(area * aspect), 1.0)
        top = uniform(derived_seed(seed, 2)) * (1.0 - height)
        left = uniform(derived_seed(seed, 3)) * (1.0 - width)
        box = tf.stack([top, left, top + height, left + width])
        return tf.image.crop_and_resize(image[None], box[None], [0], image.shape[:2])[0]

    return crop


def colour(strength: float) -> ImageLayer:
    """Brightness, contrast and saturation, each moved by up to `strength`, in this order.

    Brightness by that share of the range of values, contrast and saturation by that share of
    themselves.
    """
    layers = [
        SeededLayer(keras.layers.RandomBrightness(strength)),
        SeededLayer(_contrast(strength)),
        _saturation(strength),
    ]

    def change(image, seed):
        for number, layer in enumerate(layers):
            image = layer(image, derived_seed(seed, number))
        return image

    return change


def random_erasing(probability: float) -> ImageLayer:
    """With this probability a rectangle of noise, of 2 to 33 % of the area.

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020; `keras.layers.RandomErasing`.
    """
    erase = SeededLayer(keras.layers.RandomErasing(factor=(1.0, 1.0)))

    def maybe_erase(image, seed):
        # The noise of a whole image is drawn for it: only where it is used.
        is_erased = uniform(derived_seed(seed, 0)) < probability
        return tf.cond(is_erased, lambda: erase(image, derived_seed(seed, 1)), lambda: image)

    return maybe_erase


def rand_augment(num_operations: float, magnitude: float) -> ImageLayer:
    """RandAugment: so many operations, drawn for each image from 14, of a strength drawn for each.

    Cubuk et al., "RandAugment", NeurIPS 2020: identity, contrast stretch, equalisation, rotation,
    solarisation, saturation, posterisation, contrast, brightness, sharpness, shear and shift along
    both axes. Where the paper applies the strength of `magnitude` (0..10), here it is the largest
    one. `keras.layers.RandAugment` draws its operations for a whole batch, computes all of them and
    rotates by up to 180 degrees at half its strength: of Keras here are the operations.
    """
    operations = _operations(magnitude / 10.0)

    def augment(image, seed):
        for number in range(int(num_operations)):
            own_seed = derived_seed(seed, number)
            chosen = tf.random.stateless_uniform(
                [], derived_seed(own_seed, 0), 0, len(operations), tf.int32
            )
            branches = [
                lambda operation=operation, image=image, own_seed=own_seed: operation(
                    image, derived_seed(own_seed, 1)
                )
                for operation in operations
            ]
            image = tf.ensure_shape(tf.switch_case(chosen, branches), image.shape)
        return image

    return augment


def _operations(strength: float) -> list[ImageLayer]:
    layers = keras.layers
    shear, shift, colours = _SHEAR * strength, _SHIFT * strength, _COLOUR * strength
    kept_bits = 8 - round(_LOST_BITS * strength)
    random = [
        layers.AutoContrast(),
        layers.Equalization(),
        layers.RandomRotation(_DEGREES * strength / 360.0),
        layers.RandomPosterization((kept_bits, 8)),
        _contrast(colours),
        layers.RandomBrightness(colours),
        # Its factor 1/2 changes nothing, 0 and 1 most.
        layers.RandomSharpness((0.5 - 0.5 * colours, 0.5 + 0.5 * colours)),
        layers.RandomShear(x_factor=shear, fill_mode="reflect"),
        layers.RandomShear(y_factor=shear, fill_mode="reflect"),
        layers.RandomTranslation(shift, 0.0),
        layers.RandomTranslation(0.0, shift),
    ]
    own = [lambda image, seed: image, _solarization(strength), _saturation(colours)]
    return own + [SeededLayer(layer) for layer in random]


def _solarization(strength: float) -> ImageLayer:
    """Inverts what is above a threshold of 255 down to 255 * (1 - strength).

    `keras.layers.Solarization` has no lower limit of its threshold that is above 1.
    """

    def solarize(image, seed):
        threshold = uniform(seed, 255.0 * (1.0 - strength), 255.0)
        return tf.where(image < threshold, image, 255.0 - image)

    return solarize


def _saturation(strength: float) -> ImageLayer:
    """Distance from grey, times 1 - strength to 1 + strength.

    `keras.layers.RandomSaturation` (3.15.1) leaves 0..255: it limits saturation to 255, not to 1.
    """

    def saturate(image, seed):
        grey = tf.image.rgb_to_grayscale(image)
        factor = uniform(seed, 1.0 - strength, 1.0 + strength)
        return tf.clip_by_value(grey + factor * (image - grey), 0.0, 255.0)

    return saturate


def _contrast(strength: float) -> keras.layers.Layer:
    """Distance from the mean, times 1 - strength to 1 + strength."""
    # One number would only raise it.
    return keras.layers.RandomContrast((strength, strength))
