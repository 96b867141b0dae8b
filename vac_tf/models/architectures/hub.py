"""Backbones that KerasHub loads: its presets, and folders as timm publishes them.

KerasHub is an optional requirement (requirements-hub.txt). Only a network of Keras's own layers is
taken: it is saved, evaluated and exported without KerasHub.
"""

import importlib.util
import os
from collections.abc import Callable

import keras

STRIDE = 32  # Pixels of the image per cell, as classifiers of photographs have.
_PROBE = 8 * STRIDE
_INSTALL = "Install it: pip install -r requirements-hub.txt"


def check_hub(preset: str) -> None:
    """Finds out whether KerasHub and a local folder are there, without loading anything.

    Raises:
        ValueError: KerasHub is not installed, or `preset` is a path where there is no folder.
    """
    if not preset:
        raise ValueError("Give a preset or a folder after hub: (--backbone=hub:PRESET_OR_FOLDER).")
    if importlib.util.find_spec("keras_hub") is None:
        raise ValueError(f"--backbone=hub:{preset} needs KerasHub. {_INSTALL}")
    is_path = os.sep in preset and "://" not in preset
    if is_path and not os.path.isdir(preset):
        raise ValueError(
            f"No folder at {preset!r}. Expected one with config.json and model.safetensors, as timm"
            " publishes them, or the name of a preset of KerasHub."
        )


def hub_network(preset: str, input_shape=None, weights=None, include_top=False) -> keras.Model:
    """A backbone with the weights of its preset.

    Args:
        preset: name of a preset of KerasHub, or a folder as timm publishes them.
        input_shape, weights, include_top: not needed; the preset decides.

    Returns:
        Functional `keras.Model`: normalised images -> features `[B, H/32, W/32, C]`.

    Raises:
        ValueError: KerasHub is missing or cannot load it, or it is no backbone of stride 32 made of
            Keras's own layers.
    """
    del input_shape, weights, include_top
    network = _load(preset, lambda hub: hub.models.Backbone.from_preset(preset))
    shapes = [tuple(output.shape) for output in network.outputs]
    if len(network.inputs) != 1 or [len(shape) for shape in shapes] != [4]:
        raise ValueError(
            f"hub:{preset} ({type(network).__name__}) takes {len(network.inputs)} inputs and gives"
            f" {', '.join(map(str, shapes))}, but heatmaps need [batch, height, width, channels]"
            " from images alone; use a convolutional network."
        )
    foreign = [each for each in network._flatten_layers(include_self=False) if _is_foreign(each)]
    if foreign:
        names = ", ".join(sorted({type(layer).__name__ for layer in foreign}))
        raise ValueError(
            f"hub:{preset} ({type(network).__name__}) has layers of KerasHub's own ({names}), with"
            " which a saved run could not be read or exported; use one of Keras's layers, such as a"
            " ResNet."
        )
    cells = network.compute_output_shape((1, _PROBE, _PROBE, 3))[1]
    if cells * STRIDE != _PROBE:
        raise ValueError(
            f"hub:{preset} has {cells} cells a side for images of {_PROBE} pixels; only stride"
            f" {STRIDE} is supported here."
        )
    return network


def hub_normalization(preset: str, images):
    """Images `[B, H, W, 3]`, RGB in 0..255, in the colours that the preset was trained with.

    Raises:
        ValueError: KerasHub is missing, or the preset does not say its colours.
    """
    converter = _load(preset, lambda hub: hub.layers.ImageConverter.from_preset(preset))
    if converter is None or converter.scale is None:
        raise ValueError(f"hub:{preset} does not say which colours it was trained with.")
    offset = 0.0 if converter.offset is None else converter.offset
    return keras.layers.Rescaling(converter.scale, offset, dtype="float32", name="normalization")(
        images
    )


def _load(preset: str, load: Callable):
    check_hub(preset)
    import keras_hub

    try:
        return load(keras_hub)
    except Exception as error:  # Of its own, of the download, of the file: nearly any kind.
        raise ValueError(
            f"KerasHub cannot load {preset!r}: {error} Expected the name of a preset of an image"
            " backbone, or a folder with config.json and model.safetensors as timm publishes them."
        ) from error


def _is_foreign(layer):
    return not type(layer).__module__.startswith("keras.")
