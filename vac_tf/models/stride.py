"""The stride of a network: image pixels per cell of its features or heatmaps."""

import keras

# Multiples of every stride in use, 12, 14 and 28 of vision transformers included; the second less
# the first leaves out what a border costs. Shapes alone are computed: large ones cost nothing.
_SIZES = (6720, 13440)


def find_stride(network: keras.Model, name: str = "") -> int:
    """Nominal image pixels per cell of what a network gives, found from its shapes.

    Args:
        network: functional, of one input `[B, H, W, 3]`: to features `[B, h, w, C]` or to a dict
            with `heatmaps` `[B, h, w, L]`.
        name: of the network, for the error; its own by default.

    Raises:
        ValueError: the cells do not shrink by the same whole number along height and width.
    """
    height, width = network.inputs[0].shape[1:3]
    if height and width:
        return _of_fixed_size(network, name, (height, width))
    small, large = (_cells(network, (size, size)) for size in _SIZES)
    pixels = _SIZES[1] - _SIZES[0]
    gains = {second - first for first, second in zip(small, large, strict=True)}
    gain = gains.pop()
    if gains or gain < 1 or pixels % gain:
        raise _no_stride(
            network, name, f"{large} cells of {_SIZES[1]} pixels and {small} of {_SIZES[0]}"
        )
    return pixels // gain


def _of_fixed_size(network, name, sides):
    cells = _cells(network, sides)
    strides = {round(side / count) for side, count in zip(sides, cells, strict=True)}
    if len(strides) > 1:
        raise _no_stride(network, name, f"{cells} cells of {sides} pixels")
    return strides.pop()


def _cells(network, sides):
    shapes = network.compute_output_shape((1, *sides, 3))
    return tuple((shapes["heatmaps"] if isinstance(shapes, dict) else shapes)[1:3])


def _no_stride(network, name, what):
    return ValueError(
        f"{name or network.name!r} makes {what}: expected the same whole stride along height and"
        " width."
    )
