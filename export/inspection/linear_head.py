"""The last linear layer of an ONNX file: its weights and its bias."""

import dataclasses
import os

import numpy as np
from onnx import numpy_helper

from vac_tf.configs.viewed_model import ViewedModelConfig

_LINEAR = ("Gemm", "MatMul", "Conv")


@dataclasses.dataclass(frozen=True)
class LinearHead:
    """A linear layer on pooled features.

    Attributes:
        weights: float32 `[C, L]`.
        bias: float32 `[L]`.
    """

    weights: np.ndarray
    bias: np.ndarray

    @property
    def num_labels(self) -> int:
        return self.weights.shape[1]

    def heatmaps(self, features: np.ndarray) -> np.ndarray:
        """Features `[B, h, w, C]` to heatmaps `[B, h, w, L]`."""
        return features @ self.weights

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Features `[B, h, w, C]` to logits `[B, L]`, by average pooling."""
        return features.mean(axis=(1, 2)) @ self.weights + self.bias


def find_head(file, features: np.ndarray, config: ViewedModelConfig) -> LinearHead:
    """The head that the config names, or the last linear layer that fits the features.

    Args:
        file: The ONNX model.
        features: `[B, h, w, C]`.
        config: With `head_weights` and `head_bias`, names of tensors or paths of `.npy` files.

    Raises:
        ValueError: no such tensor or file, or shapes that do not fit.
    """
    tensors = _constants(file.graph)
    channels = features.shape[-1]
    if config.head_weights:
        weights = _oriented(_read(config.head_weights, tensors, config), channels, config)
        bias = np.zeros(weights.shape[1], np.float32)
    else:
        weights, bias = _last_layer(file.graph, tensors, channels, config)
    if config.head_bias:
        bias = np.float32(_read(config.head_bias, tensors, config)).reshape(-1)
    if len(bias) != weights.shape[1]:
        raise ValueError(
            f"The bias of the head has {len(bias)} values for {weights.shape[1]} labels: check"
            " --head_weights and --head_bias."
        )
    return LinearHead(weights, bias)


def _constants(graph) -> dict[str, np.ndarray]:
    """All tensors of the file that are the same for every image, by name."""
    tensors = {value.name: value for value in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    return tensors


def _read(name: str, tensors: dict, config: ViewedModelConfig) -> np.ndarray:
    if name in tensors:
        return numpy_helper.to_array(tensors[name])
    if name.endswith(".npy") and os.path.isfile(name):
        return np.load(name, allow_pickle=False)
    shapes = {key: list(value.dims) for key, value in tensors.items() if len(value.dims) >= 2}
    some = ", ".join(f"{key} {shape}" for key, shape in list(shapes.items())[-5:])
    raise ValueError(
        f"{config.model!r} has no weights {name!r}, and there is no such .npy file. Its last"
        f" weights: {some or 'none'}."
    )


def _oriented(weights: np.ndarray, channels: int, config: ViewedModelConfig) -> np.ndarray:
    """`[C, L]` of weights in either order; a 1x1 convolution's are `[L, C, 1, 1]`."""
    matrix = np.float32(weights)
    matrix = matrix.reshape(matrix.shape[:2]) if matrix.shape[2:] == (1, 1) else matrix
    if matrix.ndim == 2 and matrix.shape[0] == channels:
        return matrix
    if matrix.ndim == 2 and matrix.shape[1] == channels:
        return np.ascontiguousarray(matrix.T)
    raise ValueError(
        f"The weights of the head have shape {weights.shape}, the features {config.features!r}"
        f" {channels} channels. Expected [{channels}, labels] or [labels, {channels}]."
    )


def _last_layer(graph, tensors, channels, config) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[C, L]` and bias `[L]` of the last linear layer that takes so many channels."""
    for node in reversed(graph.node):
        if node.op_type not in _LINEAR or len(node.input) < 2 or node.input[1] not in tensors:
            continue
        weights = numpy_helper.to_array(tensors[node.input[1]])
        is_transposed = node.op_type == "Conv" or any(
            a.name == "transB" and a.i for a in node.attribute
        )
        if weights.shape[2:] not in ((), (1, 1)) or weights.shape[int(is_transposed)] != channels:
            continue
        matrix = np.float32(weights).reshape(weights.shape[:2])
        matrix = np.ascontiguousarray(matrix.T) if is_transposed else matrix
        return matrix, _bias_of(node, graph, tensors, matrix.shape[1])
    raise ValueError(
        f"{config.model!r} has no linear layer on {channels} channels, those of"
        f" {config.features!r}. Name its weights with --head_weights."
    )


def _bias_of(node, graph, tensors, num_labels: int) -> np.ndarray:
    names = list(node.input[2:3])
    if not names:  # A sum that follows.
        followers = (n for n in graph.node if n.op_type == "Add" and node.output[0] in n.input)
        names = [name for n in followers for name in n.input if name != node.output[0]]
    for name in names:
        if name in tensors and np.prod(tensors[name].dims, dtype=int) == num_labels:
            return np.float32(numpy_helper.to_array(tensors[name])).reshape(-1)
    return np.zeros(num_labels, np.float32)
