"""A backbone from a Keras model that somebody saved, or has made."""

import functools
import os

import keras

from vac_tf.models.architectures.token_grid import token_grid, with_grid
from vac_tf.models.saving import load_network


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
    return as_features(load_network(path), repr(path))


def as_features(model: keras.Model, name: str) -> keras.Model:
    """A model as one of features `[B, h, w, C]`: itself, or that of its tokens.

    Args:
        model: as in a file, see `read_features`.
        name: what an error calls it.

    Raises:
        ValueError: as `read_features`.
    """
    inputs, outputs = (getattr(model, side, None) or [] for side in ("inputs", "outputs"))
    if not isinstance(model, keras.Model) or len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"{name} holds no Keras model of one input and one output.")
    takes, gives = tuple(inputs[0].shape), tuple(outputs[0].shape)
    if takes[1:] != (None, None, 3) and not _is_square(takes):
        raise ValueError(
            f"{name} takes {takes}, expected RGB images of any size, (None, None, 3), or square"
            " ones of one size, such as (224, 224, 3)."
        )
    if _are_tokens(gives, takes):
        try:
            return with_grid(model)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if len(gives) != 4:
        raise ValueError(
            f"{name} gives {gives}, which has no place for heatmaps; expected features"
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
    return f" Use keras.Model(model.input, model.get_layer({spatial[-1]!r}).output) instead."


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
