"""The weights of a backbone from a file of PyTorch: torchvision's, or a folder of timm's."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np

from vac_tf.models.weights.assigning import assign_tensors
from vac_tf.models.weights.tensor_file import read_tensors

_TIMM_TENSORS, _TIMM_CONFIG = "model.safetensors", "config.json"


@dataclasses.dataclass(frozen=True)
class TorchWeights:
    """The weights that PyTorch's libraries publish for a backbone.

    Attributes:
        module_of: name of a layer of ours -> name of the module that has its tensors.
        classifier: beginning of the tensors that are left out.
        colours: mean and standard deviation of the pixels, in 0..255, that it was trained with.
        advice: how to get them.
    """

    module_of: Callable[[str], str]
    classifier: str
    colours: tuple[Sequence[float], Sequence[float]]
    advice: str


def load_torch_weights(features: keras.Model, path: str, published: TorchWeights) -> None:
    """Gives a backbone the weights in a file of PyTorch.

    Args:
        features: the backbone.
        path: a state dict (`.pth`), a `.safetensors` file, or a folder as timm publishes one:
            `model.safetensors`, and `config.json` with the colours it was trained with.
        published: how the tensors are named.

    Raises:
        ValueError: the file is missing or damaged, its tensors do not fit (all are named), or the
            folder's colours are others.
    """
    if os.path.isdir(path):
        _check_colours(os.path.join(path, _TIMM_CONFIG), published.colours)
        path = os.path.join(path, _TIMM_TENSORS)
    tensors = read_tensors(path)
    kept = {name: tensors[name] for name in tensors if not name.startswith(published.classifier)}
    assign_tensors(features, kept, published.module_of)


def _check_colours(path, colours):
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected a JSON object")
    config = config.get("pretrained_cfg", config)
    for name, expected in zip(("mean", "std"), colours, strict=True):
        expected = np.round(np.divide(expected, 255), 3).tolist()
        found = config.get(name, expected)
        if not np.allclose(found, expected, atol=1e-3):
            raise ValueError(f"{path}: {name} is {found}, but this backbone takes {expected}")
