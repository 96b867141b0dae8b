"""The public name of the transforms; the package itself imports `vac_tf.geometry.transforms`."""

from vac_tf.geometry.transforms import (
    HorizontalFlip,
    Rotation,
    Scaling,
    Transform,
    Translation,
    parse_transforms,
    parse_weights,
    register_transform,
)

__all__ = [
    "HorizontalFlip",
    "Rotation",
    "Scaling",
    "Transform",
    "Translation",
    "parse_transforms",
    "parse_weights",
    "register_transform",
]
