"""Published classifiers of PyTorch: their tensors as weights of a classifier of ours."""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers

from vac_tf.models.cam_head import HEAD_LAYER
from vac_tf.models.weights.assigning import assign_tensors

_DENSE, _NORMALIZATION = "published_head", "published_head_normalization"
_EPSILON = 1e-5  # PyTorch's.


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a published classifier has its parts.

    Attributes:
        backbone: beginning of the backbone's tensors.
        head: the linear layer from pooled features to logits.
        normalization: the batch normalisation of logits that may follow it.
    """

    backbone: str
    head: str
    normalization: str = ""


LAYOUTS = {
    # github.com/hguosc/visual_attention_consistency, resnet.py.
    "vac": Layout("", "fc_all"),
    # github.com/valencebond/Rethinking_of_PAR, models/base_block.py: CLASSIFIER.NAME linear.
    "rethinking_of_par": Layout("backbone.", "classifier.logits.0", "classifier.logits.1"),
    "torchvision": Layout("", "fc"),
}


def count_outputs(tensors: Mapping[str, np.ndarray], layout: Layout) -> int:
    """How many labels a published classifier has.

    Raises:
        ValueError: it has no head of that layout.
    """
    name = f"{layout.head}.weight"
    if name not in tensors:
        known = ", ".join(f"{key} ({value.head}.weight)" for key, value in LAYOUTS.items())
        linear = ", ".join(key for key, value in tensors.items() if value.ndim == 2) or "none"
        raise ValueError(
            f"There is no head {name!r} in the checkpoint, whose linear layers are {linear}."
            f" Known layouts: {known}."
        )
    return tensors[name].shape[0]


def assign_classifier(
    network: keras.Model,
    tensors: Mapping[str, np.ndarray],
    layout: Layout,
    module_of: Callable[[str], str],
) -> None:
    """Gives a classifier the weights of a published one, all of them or none.

    A batch normalisation of logits is one scale and one offset a label when it is not trained; it
    becomes part of the kernel and the bias, and so of the heatmaps too.

    Args:
        network: of `build_classifier`, with one column a label.
        tensors: name -> array in PyTorch's layout.
        layout: where they are.
        module_of: name of a layer of the backbone -> name of its module in PyTorch.

    Raises:
        ValueError: naming every tensor that is missing, not expected or of another shape.
    """
    (body,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    head = network.get_layer(HEAD_LAYER)
    logits = layers.GlobalAveragePooling2D()(body.output)
    logits = layers.Dense(head.num_labels, name=_DENSE)(logits)
    is_normalized = bool(layout.normalization) and f"{layout.normalization}.weight" in tensors
    if is_normalized:
        logits = layers.BatchNormalization(epsilon=_EPSILON, name=_NORMALIZATION)(logits)
    # It shares the backbone's variables, so that one call assigns, and names, all tensors.
    published = keras.Model(body.inputs, logits, name=body.name)
    ends = {_DENSE: layout.head, _NORMALIZATION: layout.normalization}
    assign_tensors(
        published, tensors, lambda name: ends.get(name) or layout.backbone + module_of(name)
    )
    kernel, bias = published.get_layer(_DENSE).get_weights()
    if is_normalized:
        gamma, beta, mean, variance = published.get_layer(_NORMALIZATION).get_weights()
        scale = gamma / np.sqrt(variance + _EPSILON)
        kernel, bias = kernel * scale, (bias - mean) * scale + beta
    head.set_weights([kernel, bias])
