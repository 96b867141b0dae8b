"""Augmentation layers by name, as `--augment_layers` gives them."""

import dataclasses

import tensorflow as tf

from vac_tf.inputs.augmentation import image_layers, mixing
from vac_tf.inputs.augmentation.image_layers import ImageLayer
from vac_tf.inputs.augmentation.mixing import BatchLayer

# Name -> what makes it of its numbers, and the meaning and limits of each.
_AREA, _ALPHA = ("smallest share of the area", 0.01, 1.0), ("alpha", 0.01, 1.0)
IMAGE_LAYERS = {
    "random_resized_crop": (image_layers.random_resized_crop, (_AREA,)),
    "colour": (image_layers.colour, (("strength", 0.0, 1.0),)),
    "rand_augment": (
        image_layers.rand_augment,
        (("number of operations", 1, 14), ("magnitude", 0.0, 10.0)),
    ),
    "random_erasing": (image_layers.random_erasing, (("probability", 0.0, 1.0),)),
}
BATCH_LAYERS = {"mixup": (mixing.mix_up, (_ALPHA,)), "cutmix": (mixing.cut_mix, (_ALPHA,))}
_EXAMPLE = "random_resized_crop:0.5,rand_augment:2:9,random_erasing:0.25,mixup:0.2"


@dataclasses.dataclass(frozen=True)
class AugmentLayers:
    """The layers of a run, in order: first those of single images, then those that mix batches."""

    of_image: tuple[ImageLayer, ...] = ()
    of_batch: tuple[BatchLayer, ...] = ()


def parse_layers(text: str) -> AugmentLayers:
    """The layers of `"rand_augment:2:9,random_erasing:0.25"`; none of `""`.

    Raises:
        ValueError: an unknown or repeated name, numbers that are missing, none or out of their
            limits, or a layer of single images after one that mixes.
    """
    made: dict[str, object] = {}
    items = [item.strip() for item in text.split(",")] if text else []
    for item in items:
        name, *words = item.split(":")
        if name in made:
            raise ValueError(f"augment_layers {text!r}: {name} is named twice.")
        if name in IMAGE_LAYERS and not made.keys().isdisjoint(BATCH_LAYERS):
            raise ValueError(
                f"augment_layers {text!r}: {name} changes single images, before they are mixed;"
                f" name it before {' and '.join(n for n in made if n in BATCH_LAYERS)}."
            )
        make, limits = _known(text, name)
        # Every epoch is a pipeline of its own: the graph of a layer is made once for all.
        layer = make(*_numbers(text, item, words, limits))
        made[name] = tf.function(layer, autograph=False, reduce_retracing=True)
    return AugmentLayers(
        tuple(layer for name, layer in made.items() if name in IMAGE_LAYERS),
        tuple(layer for name, layer in made.items() if name in BATCH_LAYERS),
    )


def _known(text, name):
    known = IMAGE_LAYERS | BATCH_LAYERS
    if name not in known:
        raise ValueError(
            f"augment_layers {text!r}: unknown layer {name!r}. Expected names of"
            f" {', '.join(known)} with their numbers, as in {_EXAMPLE}."
        )
    return known[name]


def _numbers(text, item, words, limits):
    meanings = [f"{meaning} ({low:g} to {high:g})" for meaning, low, high in limits]
    expected = f"augment_layers {text!r}: {item!r} needs {' and '.join(meanings)}, after colons."
    if len(words) != len(limits):
        raise ValueError(expected)
    numbers = []
    for word, (_, low, high) in zip(words, limits, strict=True):
        try:
            number = float(word)
        except ValueError:
            raise ValueError(expected) from None
        if not low <= number <= high or (isinstance(low, int) and number != int(number)):
            raise ValueError(expected)
        numbers.append(number)
    return numbers
