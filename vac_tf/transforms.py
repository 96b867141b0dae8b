"""The public name of the transforms; the package itself imports `vac_tf.geometry.transforms`."""

from vac_tf.geometry.transforms import (
    Affine,
    HorizontalFlip,
    Rotation,
    Scaling,
    Transform,
    Translation,
    VerticalFlip,
    parse_transforms,
    parse_weights,
    register_transform,
)

__all__ = [
    "Affine",
    "HorizontalFlip",
    "Rotation",
    "Scaling",
    "Transform",
    "Translation",
    "VerticalFlip",
    "parse_transforms",
    "parse_weights",
    "register_transform",
]
