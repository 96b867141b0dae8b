"""Weights of a Keras network from the tensors of the same network in PyTorch."""

from collections.abc import Callable, Mapping

import keras
import numpy as np

_OIHW_TO_HWIO = (2, 3, 1, 0)
_OF_A_DENSE_LAYER = (1, 0)
# Kind of layer -> (weight here, tensor there, order of the axes there).
_TENSORS = {
    keras.layers.DepthwiseConv2D: (("kernel", "weight", (2, 3, 0, 1)), ("bias", "bias", (0,))),
    keras.layers.Conv2D: (("kernel", "weight", _OIHW_TO_HWIO), ("bias", "bias", (0,))),
    keras.layers.Dense: (("kernel", "weight", _OF_A_DENSE_LAYER), ("bias", "bias", (0,))),
    keras.layers.BatchNormalization: (
        ("gamma", "weight", (0,)),
        ("beta", "bias", (0,)),
        ("moving_mean", "running_mean", (0,)),
        ("moving_variance", "running_var", (0,)),
    ),
}
# How many batches a batch normalisation has seen: of no use without PyTorch's own momentum.
_NOT_NEEDED = ".num_batches_tracked"


def assign_tensors(
    network: keras.Model,
    named: Mapping[str, np.ndarray],
    module_of: Callable[[str], str] = str,
) -> None:
    """Gives a network the tensors of a PyTorch state dict, all of them or none.

    Args:
        network: of convolutions (in groups too), depthwise convolutions of multiplier 1, dense
            layers and batch normalisation; models inside it count with their layers.
        named: name -> array in PyTorch's layout, see `read_tensors`; what the network does not
            have, such as a classifier, left out.
        module_of: name of a layer -> name of PyTorch's module, without `.weight`; by default the
            same.

    Raises:
        ValueError: naming every tensor that is missing, of another shape or not expected, or a
            layer of another kind.
    """
    needed = {}
    for layer in _layers(network):
        for weight, tensor_name, axes in _of_layer(layer) if layer.weights else ():
            needed[f"{module_of(layer.name)}.{tensor_name}"] = (weight, axes)
    found = {name: array for name, array in named.items() if not name.endswith(_NOT_NEEDED)}
    _check(needed, found, network.name)
    for name, (weight, axes) in needed.items():
        weight.assign(np.transpose(found[name], axes).astype(np.float32))


def _layers(network):
    for layer in network.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _of_layer(layer):
    """`(variable, name of the tensor, order of its axes)` of every weight of a layer."""
    rows = next((rows for kind, rows in _TENSORS.items() if isinstance(layer, kind)), None)
    if rows is None:
        raise ValueError(
            f"Layer {layer.name!r} is a {type(layer).__name__}, whose weights cannot be read from"
            f" tensors; expected one of {', '.join(kind.__name__ for kind in _TENSORS)}."
        )
    variables = [(getattr(layer, weight, None), name, axes) for weight, name, axes in rows]
    return [row for row in variables if row[0] is not None]


def _check(needed, found, network_name):
    faults = []
    if missing := [name for name in needed if name not in found]:
        faults.append(f"missing: {', '.join(missing)}")
    if unexpected := [name for name in found if name not in needed]:
        faults.append(f"not expected: {', '.join(unexpected)}")
    misshapen = []
    for name in needed.keys() & found.keys():
        weight, axes = needed[name]
        shape = tuple(weight.shape[axes.index(axis)] for axis in range(len(axes)))
        if found[name].shape != shape:
            misshapen.append(f"{name} {found[name].shape} instead of {shape}")
    if misshapen:
        faults.append(f"of another shape: {', '.join(sorted(misshapen))}")
    if faults:
        raise ValueError(f"The tensors do not fit network {network_name!r}: {'; '.join(faults)}.")
