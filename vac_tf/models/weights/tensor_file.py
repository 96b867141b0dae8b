"""Tensors by name from the files that PyTorch's networks are published in; PyTorch not needed."""

import operator
import os

import numpy as np

from vac_tf.models.weights.raw_numbers import BFLOAT16, decode_numbers
from vac_tf.models.weights.torch_pickle import read_pickled_tensors

_SAFETENSORS_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}
_OF_A_PARALLEL_MODULE = "module."


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads the tensors of a network.

    Args:
        path: a `.safetensors` file (needs the package `safetensors`), or any other name for a file
            of `torch.save` in either of its layouts (`.pth`, `.pt`, `.pth.tar`, `.bin`): a state
            dict, or a checkpoint that has one under `state_dict`, `state_dicts`,
            `model_state_dict` or `model`.

    Returns:
        Name -> array, in the layout of the file (convolutions `[O, I, h, w]`) and in the order of
        a state dict, of safetensors by name; bfloat16 as float32. Names that all begin with
        `module.` (DataParallel) lose it.

    Raises:
        ValueError: the file is missing, damaged or cut short, holds no tensors by name or, as a
            pickle, anything else that could run code; or `safetensors` is not installed.
    """
    if not os.path.isfile(path):
        raise ValueError(f"No file of tensors at {path!r}.")
    read = _read_safetensors if path.endswith(".safetensors") else read_pickled_tensors
    try:
        named = read(path)
    except ImportError as error:
        raise ValueError(
            f"{path!r} needs the package safetensors ({error}). Install it:"
            " pip install -r requirements-pretrained.txt"
        ) from error
    except Exception as error:  # A damaged pickle raises nearly anything.
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path!r} cannot be read as tensors of a network: {reason}"
            f" ({os.path.getsize(path)} bytes; expected a .safetensors file or one of torch.save)."
        ) from error
    if all(name.startswith(_OF_A_PARALLEL_MODULE) for name in named):
        named = {name.removeprefix(_OF_A_PARALLEL_MODULE): named[name] for name in named}
    return named


def _read_safetensors(path):
    from safetensors import deserialize

    with open(path, "rb") as file:
        tensors = deserialize(file.read())
    named = {}
    for name, tensor in sorted(
        tensors, key=operator.itemgetter(0)
    ):  # They come in another order at every call.
        if tensor["dtype"] not in _SAFETENSORS_TYPES:
            raise ValueError(
                f"tensor {name!r} is of type {tensor['dtype']}, expected one of"
                f" {', '.join(_SAFETENSORS_TYPES)}"
            )
        numbers = decode_numbers(tensor["data"], _SAFETENSORS_TYPES[tensor["dtype"]])
        named[name] = numbers.reshape(tensor["shape"])
    if not named:
        raise ValueError("it holds no tensors")
    return named
