"""A backbone from a Keras model that somebody saved: its features, and its stride."""

import functools
import os

import keras

from vac_tf.models.architectures.token_grid import token_grid, with_grid
from vac_tf.models.saving import load_network

# Multiples of every stride in use; the second less the first leaves out what a border costs.
_SIZES = (256, 512)


def read_features(path: str) -> keras.Model:
    """The model in a `.keras` file, as a backbone; shared between calls, so not to be changed.

    Args:
        path: a functional model of one input, RGB images of any size `[B, H, W, 3]` or of one
            `[B, S, S, 3]`, and one output: features `[B, h, w, C]` or, of images of one size,
            tokens `[B, N, C]` of a vision transformer, which become features (`with_grid`).
            Keras's safe mode refuses layers that hold code.

    Raises:
        ValueError: the file is missing or unreadable, or its model has other inputs or outputs; of
            one that ends with pooling or a classifier, it names the layer to end with.
    """
    if not os.path.isfile(path):
        raise ValueError(f"No Keras model at {path!r}. Expected the path of a .keras file.")
    return _read(path, os.stat(path).st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read(path, _changed):
    model = load_network(path)
    if not isinstance(model, keras.Model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"{path!r} holds no Keras model of one input and one output.")
    takes, gives = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if takes[1:] != (None, None, 3) and not _is_square(takes):
        raise ValueError(
            f"{path!r} takes {takes}, expected RGB images of any size, (None, None, 3), or square"
            " ones of one size, such as (224, 224, 3)."
        )
    if _are_tokens(gives, takes):
        try:
            return with_grid(model)
        except ValueError as error:
            raise ValueError(f"{path!r}: {error}") from error
    if len(gives) != 4:
        raise ValueError(
            f"{path!r} gives {gives}, which has no place for heatmaps; expected features"
            " (None, height, width, channels), or tokens (None, count, channels) of images of one"
            f" size.{_where_to_cut(model)}"
        )
    return model


def _is_square(shape):
    return len(shape) == 4 and shape[1] is not None and shape[1:] == (shape[1], shape[1], 3)


def _are_tokens(gives, takes):
    return len(gives) == 3 and None not in gives[1:] and _is_square(takes)


def _where_to_cut(model):
    takes = tuple(model.inputs[0].shape)
    outputs = {layer.name: getattr(layer.output, "shape", ()) for layer in model.layers[1:]}
    spatial = [
        name
        for name, shape in outputs.items()
        if len(shape) == 4
        or (_are_tokens(shape, takes) and token_grid(shape[1], takes[1]) is not None)
    ]
    if not spatial:
        return ""
    return f" Save keras.Model(model.input, model.get_layer({spatial[-1]!r}).output) instead."


def find_stride(model: keras.Model, path: str) -> int:
    """Nominal image pixels per cell of the features.

    Raises:
        ValueError: the features do not shrink by the same whole number along height and width.
    """
    if image_side(model):
        return _stride_at(model, image_side(model), path)
    small, large = (model.compute_output_shape((1, size, size, 3))[1:3] for size in _SIZES)
    pixels = _SIZES[1] - _SIZES[0]
    gains = {second - first for first, second in zip(small, large, strict=True)}
    gain = gains.pop()
    if gains or gain < 1 or pixels % gain:
        raise ValueError(
            f"{path!r} makes {tuple(large)} cells of {_SIZES[1]} pixels and {tuple(small)} of"
            f" {_SIZES[0]}: expected the same whole stride along height and width."
        )
    return pixels // gain


def _stride_at(model, side, path):
    height, width = model.outputs[0].shape[1:3]
    if height != width or side % height:
        raise ValueError(
            f"{path!r} makes {height} x {width} cells of {side} pixels: expected the same whole"
            " stride along height and width."
        )
    return side // height


def image_side(model: keras.Model) -> int | None:
    """The only side of images in pixels that a model takes; None: any."""
    return model.inputs[0].shape[1]


def scales_images(model: keras.Model) -> bool:
    """Whether a model has a layer that scales or normalises its images before the first weights."""
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            return True
        if layer.weights:
            return False
    return False
