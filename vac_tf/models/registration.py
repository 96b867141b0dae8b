"""Backbones of users, under names of their own."""

import inspect
from collections.abc import Callable

import keras

from vac_tf.configs.registration import add_name
from vac_tf.models.backbones import BACKBONES, Backbone, plain_name
from vac_tf.models.normalization import NORMALIZATIONS


def register_backbone(
    name: str,
    build: Callable[..., keras.Model],
    *,
    normalization: str | Callable = "none",
    stride: int | None = None,
    replace: bool = False,
) -> None:
    """Makes a backbone known by a name, for `--backbone` and `build_classifier`.

    Args:
        name: new; case and `-_.` do not matter.
        build: of a functional model, normalised images `[B, H, W, 3]` -> features `[B, h, w, C]`.
            Called by keyword with `input_shape`, `(H, W, 3)` with H and W perhaps None, and, where
            it has them, `include_top=False` and `weights`, `"imagenet"` or None, as the functions
            of `keras.applications` are; without `weights` there are none of ImageNet.
        normalization: what images of 0..255 go through first: a function of Keras tensors, or a
            key of `vac_tf.models.normalization.NORMALIZATIONS` (`"none"`: the model scales them
            itself).
        stride: nominal image pixels per cell of the features; None: found by building one.
        replace: use this one where the name is taken.

    Raises:
        ValueError: the name is taken, an unknown normalization, or a function without
            `input_shape`.
    """
    if isinstance(normalization, str):
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"Unknown normalization {normalization!r}. Expected a function or one of:"
                f" {', '.join(NORMALIZATIONS)}."
            )
        normalization = NORMALIZATIONS[normalization]
    arguments = inspect.signature(build).parameters
    if "input_shape" not in arguments:
        raise ValueError(f"The function of backbone {name!r} must take input_shape, (H, W, 3).")

    def build_with_known(**given):
        return build(**{key: value for key, value in given.items() if key in arguments})

    has_weights = "weights" in arguments
    backbone = Backbone(build_with_known, normalization, stride, has_imagenet_weights=has_weights)
    alike = [key for key in BACKBONES if plain_name(key) == plain_name(str(name))]
    add_name(BACKBONES, "backbone", alike[0] if alike else name, backbone, replace)
