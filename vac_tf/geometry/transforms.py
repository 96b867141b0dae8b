"""Spatial transforms of images and, built together so that they cannot drift, of heatmaps.

VAC paper, Section 3.3. Images are `[B, H, W, C]`, heatmaps `[B, h, w, L]`; `stride` is the number
of image pixels per heatmap cell. Every transform works eagerly, in `tf.data` and in a graph.
"""

import dataclasses
import typing
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from vac_tf.configs.registration import add_name
from vac_tf.geometry.affine import Affine
from vac_tf.geometry.flips import HorizontalFlip, VerticalFlip
from vac_tf.geometry.resizing import resize_batch, resize_linearly
from vac_tf.geometry.splice import Splice
from vac_tf.geometry.tensors import Tensor
from vac_tf.geometry.transform import Transform, check_grid

_KNOWN_TO_KERAS = keras.saving.register_keras_serializable(package="vac_tf")


@_KNOWN_TO_KERAS
@dataclasses.dataclass(frozen=True)
class Rotation(Transform):
    """Rotation by quarter turns (90 degrees each) counter-clockwise; images must be square.

    Args:
        quarter_turns: 1, 2 or 3.

    Raises:
        ValueError: another number of turns.
    """

    quarter_turns: int = 1

    def __post_init__(self) -> None:
        if self.quarter_turns not in (1, 2, 3):
            raise ValueError(
                f"rotate takes 1, 2 or 3 quarter turns counter-clockwise, got {self.quarter_turns}."
            )

    @property
    def spec(self) -> str:
        return f"rotate:{self.quarter_turns}"

    def images(self, images: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        if height != width:
            raise ValueError(f"Rotation needs square images, got {height}x{width} pixels.")
        return ops.rot90(images, k=self.quarter_turns, axes=(1, 2))

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride
        return ops.rot90(heatmaps, k=self.quarter_turns, axes=(1, 2))

    def restored_heatmaps(self, heatmaps: Tensor, height: int, width: int) -> Tensor:
        turned = ops.rot90(heatmaps, k=4 - self.quarter_turns, axes=(1, 2))
        return check_grid(self.spec, turned, height, width)


@_KNOWN_TO_KERAS
@dataclasses.dataclass(frozen=True)
class Translation(Transform):
    """Shift by pixels; uncovered pixels become 0 (black).

    Heatmaps follow where the shift is of whole cells, multiples of the stride.

    Args:
        rows: pixels down; negative: up.
        columns: pixels to the right; negative: to the left.
    """

    rows: int = 0
    columns: int = 0

    @property
    def spec(self) -> str:
        return f"translate:{self.rows}:{self.columns}"

    def images(self, images: Tensor) -> Tensor:
        return _shift(images, self.rows, self.columns)

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        return _shift(heatmaps, *self._cells(stride))

    def valid_mask(self, height: int, width: int, stride: int = 32) -> np.ndarray:
        rows, columns = self._cells(stride)
        mask = np.zeros((height, width), "float32")
        mask[_covered(rows, height), _covered(columns, width)] = 1.0
        if not mask.any():
            raise ValueError(
                f"{self.spec} moves all of a {height}x{width} heatmap (stride {stride}) away;"
                " use a smaller shift."
            )
        return mask

    def _cells(self, stride: int) -> tuple[int, int]:
        if self.rows % stride or self.columns % stride:
            raise ValueError(
                f"{self.spec} must shift by multiples of the backbone's stride, {stride} pixels,"
                " for heatmaps to follow."
            )
        return self.rows // stride, self.columns // stride


@_KNOWN_TO_KERAS
@dataclasses.dataclass(frozen=True)
class Scaling(Transform):
    """Resizing to another input size; heatmaps stay, the loss aligns the two grids.

    Args:
        size: height and width in pixels.
        kernel: `"bilinear"` (antialiased where it shrinks) or `"nearest"`.

    Raises:
        ValueError: a size below 1.
    """

    size: int = 192
    kernel: str = "bilinear"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"scale needs a size of at least 1 pixel, got {self.size}.")

    @property
    def spec(self) -> str:
        return f"scale:{self.size}"

    def images(self, images: Tensor) -> Tensor:
        return resize_batch(images, self.size, self.kernel)

    def heatmaps(self, heatmaps: Tensor, stride: int = 32) -> Tensor:
        del stride
        return heatmaps

    def restored_heatmaps(self, heatmaps: Tensor, height: int, width: int) -> Tensor:
        return resize_linearly(heatmaps, height, width)


def _covered(shift: int, length: int) -> slice:
    return slice(max(shift, 0), length + min(shift, 0))


def _shift(values: Tensor, rows: int, columns: int) -> Tensor:
    height, width = values.shape[1:3]
    if abs(rows) >= height or abs(columns) >= width:
        return ops.zeros_like(values)
    kept = values[:, _covered(-rows, height), _covered(-columns, width), :]
    padding = ((0, 0), _padding(rows), _padding(columns), (0, 0))
    return ops.pad(kept, padding)


def _padding(shift: int) -> tuple[int, int]:
    return max(shift, 0), max(-shift, 0)


# kind -> (builder, types of its arguments, how it is written)
_TRANSFORMS: dict[str, tuple[Callable[..., Transform], tuple[type, ...], str]] = {
    "hflip": (HorizontalFlip, (), "hflip"),
    "vflip": (VerticalFlip, (), "vflip"),
    "scale": (Scaling, (int,), "scale:PIXELS"),
    "rotate": (Rotation, (int,), "rotate:QUARTER_TURNS"),
    "translate": (Translation, (int, int), "translate:ROWS:COLUMNS"),
    "affine": (
        Affine,
        (float,) * 6,
        "affine:DEGREES:SCALE_ROWS:SCALE_COLUMNS:SHEAR:ROWS:COLUMNS",
    ),
    "splice": (Splice, (int,), "splice:CELLS"),
}


def register_transform(
    kind: str, transform_class: type[Transform], *, replace: bool = False
) -> None:
    """Makes a transform known by its kind, for `--transforms`, `--augment` and saved trainers.

    Args:
        kind: new; how `spec` begins: `kind:ARGUMENT:...`, an argument per field.
        transform_class: a frozen dataclass, all of whose fields are int or float.
        replace: Use this one where the kind is taken.

    Raises:
        ValueError: the kind is taken, or the class is no such dataclass.
    """
    if not (isinstance(transform_class, type) and issubclass(transform_class, Transform)):
        raise ValueError(f"Transform {kind!r} must be a subclass of Transform: {transform_class}.")
    hints = typing.get_type_hints(transform_class)
    fields = [field.name for field in dataclasses.fields(transform_class)]
    types = tuple(hints[name] for name in fields)
    if not set(types) <= {int, float}:
        raise ValueError(f"Transform {kind!r} has the fields {fields}: each must be int or float.")
    written = ":".join([kind, *(name.upper() for name in fields)])
    add_name(_TRANSFORMS, "transform", kind, (transform_class, types, written), replace)
    package = transform_class.__module__
    keras.saving.register_keras_serializable(package=package)(transform_class)


def parse_transforms(text: str, resize_kernel: str = "bilinear") -> tuple[Transform, ...]:
    """Transforms from text such as `"hflip,scale:192,rotate:1,translate:32:0"`.

    Args:
        text: as above; of each transform what its `spec` says.
        resize_kernel: of `scale`: `"bilinear"`, or another of `vac_tf.geometry.resizing`.

    Returns:
        One a name, in the order of the text; none for an empty text.

    Raises:
        ValueError: an unknown kind, wrong arguments or a transform named twice.
    """
    transforms = [
        _parse_transform(item.strip(), resize_kernel) for item in text.split(",") if item.strip()
    ]
    specs = [transform.spec for transform in transforms]
    if len(set(specs)) != len(specs):
        raise ValueError(f"A transform is named twice in {text!r}.")
    return tuple(transforms)


def _parse_transform(item: str, resize_kernel: str) -> Transform:
    kind, *arguments = item.split(":")
    if kind not in _TRANSFORMS:
        known = ", ".join(written for _, _, written in _TRANSFORMS.values())
        raise ValueError(f"Unknown transform {item!r}. Known transforms: {known}.")
    build, types, written = _TRANSFORMS[kind]
    if len(arguments) != len(types):
        raise ValueError(f"{item!r}: expected {written}.")
    try:
        values = [read(argument) for read, argument in zip(types, arguments, strict=True)]
    except ValueError:
        numbers = "whole numbers" if set(types) == {int} else "numbers"
        raise ValueError(f"{item!r}: expected {numbers}, as in {written}.") from None
    of_scaling = {"kernel": resize_kernel} if build is Scaling else {}
    return build(*values, **of_scaling)


def parse_weights(text: str, transforms: tuple[Transform, ...]) -> dict[str, float]:
    """Weight of each transform's loss term, from `"1"` or `"hflip:0.6,scale:0.8"`.

    Args:
        text: one number for all, or one for each kind of transform.
        transforms: of which every kind needs a weight.

    Returns:
        `spec` of each transform -> its weight, finite and not negative.

    Raises:
        ValueError: not a number, a negative number, a kind named twice, or kinds that do not
            match the transforms.
    """
    try:
        if ":" not in text:
            weight = float(text)
            pairs = [(kind, weight) for kind in {transform.kind for transform in transforms}]
        else:
            items = (item.strip().split(":") for item in text.split(","))
            pairs = [(kind, float(number)) for kind, number in items]
    except ValueError:
        raise ValueError(
            f"consistency_weight {text!r}: expected one number, or per kind of transform,"
            " as in hflip:0.6,scale:0.8."
        ) from None
    weights = dict(pairs)
    if len(weights) != len(pairs):
        raise ValueError(f"consistency_weight {text!r}: a kind of transform is named twice.")
    kinds = {transform.kind for transform in transforms}
    if set(weights) != kinds:
        raise ValueError(
            f"consistency_weight {text!r} names {sorted(weights)}, but the transforms are"
            f" {sorted(kinds)}."
        )
    if any(not 0.0 <= weight < float("inf") for weight in weights.values()):
        raise ValueError(f"consistency_weight {text!r}: weights must be finite and not negative.")
    return {transform.spec: weights[transform.kind] for transform in transforms}
