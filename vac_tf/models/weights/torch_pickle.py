"""Tensors from PyTorch's files, without PyTorch and without running what the pickle asks for.

Both layouts of `torch.save`: since 1.6 a zip archive of `data.pkl` and one file a storage, before
that pickles followed by the storages. A pickle may call anything; the unpickler here knows what
state dicts are made of and refuses all other names. What it hands to a pickle cannot be changed by
one: tuples, which are made into arrays when the pickle has been read.
"""

import collections
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vac_tf.models.weights.raw_numbers import BFLOAT16, bytes_per_number, decode_numbers

# What begins a file of the older layout, and the version of its format.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_NUMBER_TYPES = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Where checkpoints keep their state dict: torchvision, timm, Rethinking_of_PAR and others.
_WRAPPERS = ("state_dict", "state_dicts", "model_state_dict", "model")
_DEEPEST_WRAPPER = 4


class _StorageType(NamedTuple):
    number_type: str


class _Storage(NamedTuple):
    key: str
    number_type: str
    length: int  # In numbers.


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # In numbers, as the strides.
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Function(NamedTuple):
    """A function that a pickle can call but, unlike a plain one, not set attributes of."""

    call: Callable[..., Any]

    def __call__(self, *arguments):
        return self.call(*arguments)


class _NumberOfNumPy(NamedTuple):
    """In place of a NumPy number and of its type: checkpoints note their metrics as such."""

    def __setstate__(self, state):
        """The rest of a type's description, which nobody reads."""


def _rebuild_tensor(storage, offset, shape, strides, *_of_the_gradient):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_of_the_gradient):
    return tensor


def _number_of_numpy(*_description):
    return _NumberOfNumPy()


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Function(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_rebuild_parameter),
    ("numpy", "dtype"): _Function(_number_of_numpy),
    ("numpy.core.multiarray", "scalar"): _Function(_number_of_numpy),
    ("numpy._core.multiarray", "scalar"): _Function(_number_of_numpy),
    ("_codecs", "encode"): _Function(_number_of_numpy),  # The bytes of such a number.
    **{("torch", name): _StorageType(number) for name, number in _NUMBER_TYPES.items()},
}


class _TensorsOnly(pickle.Unpickler):
    """Reads plain containers, numbers, strings and tensors; refuses every other name."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")  # As PyTorch, for strings of Python 2.
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            raise ValueError(
                f"its pickle asks for {module}.{name}; only tensors in plain containers are read,"
                " since anything else could run code. If you trust the file, load it with PyTorch"
                " and save its state_dict() alone."
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid):
        kind, storage_type, key, _device, length, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise ValueError(f"it refers to {kind!r} outside of the pickle, expected storages only")
        if any(view):
            raise ValueError(f"storage {key!r} is a part of another one; save it with torch >= 1.0")
        return self.storages.setdefault(key, _Storage(key, storage_type.number_type, length))


def read_pickled_tensors(path: str) -> dict[str, np.ndarray]:
    """Name -> array of the state dict in a file of `torch.save`.

    Raises:
        ValueError: the file is cut short or damaged, holds no state dict, or asks for something
            that is neither a tensor nor a plain container, number or string.
        OSError, pickle.UnpicklingError, zipfile.BadZipFile, ...: a damaged file, as the reader
            underneath says it; a pickle may raise nearly anything.
    """
    with open(path, "rb") as file:
        if file.peek(4).startswith(b"PK"):
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive)
        return _read_older_layout(file)


def _read_archive(archive: zipfile.ZipFile):
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"a zip archive with {len(pickles)} files data.pkl, expected one")
    folder = pickles[0].removesuffix("data.pkl")

    def stored(name):
        # PyTorch never compresses, and a small file could unpack to any size.
        if archive.getinfo(folder + name).compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{folder + name} is compressed, which torch.save does not do")
        return archive.read(folder + name)

    if f"{folder}byteorder" in archive.namelist() and stored("byteorder") != b"little":
        raise ValueError("its numbers are big-endian; save it on a little-endian machine")
    with archive.open(pickles[0]) as file:
        state = _state_dict(_TensorsOnly(file).load())
    storages = {tensor.storage for tensor in state.values()}
    numbers = {each.key: _numbers(each, stored(f"data/{each.key}")) for each in storages}
    return {name: _array(tensor, numbers[tensor.storage.key]) for name, tensor in state.items()}


def _read_older_layout(file: BinaryIO):
    if _TensorsOnly(file).load() != _MAGIC:
        raise ValueError("it is no file of torch.save")
    version, system = _TensorsOnly(file).load(), _TensorsOnly(file).load()
    if version != _VERSION or not system["little_endian"]:
        raise ValueError(
            f"format {version} of {system}, expected {_VERSION} of a little-endian machine"
        )
    unpickler = _TensorsOnly(file)
    state, numbers = _state_dict(unpickler.load()), {}
    needed = {tensor.storage.key for tensor in state.values()}
    for key in _TensorsOnly(file).load():
        storage = unpickler.storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length:
            raise ValueError(f"storage {key} holds {length} numbers, not {storage.length}")
        size = length * bytes_per_number(storage.number_type)
        read = _numbers(storage, file.read(size))
        if key in needed:  # Others are of an optimizer, for example.
            numbers[key] = read
    return {name: _array(tensor, numbers[tensor.storage.key]) for name, tensor in state.items()}


def _state_dict(content):
    """Name -> `_Tensor` of a state dict, or of one in the usual places of a checkpoint."""
    for _ in range(_DEEPEST_WRAPPER):
        inner = [content.get(name) for name in _WRAPPERS] if isinstance(content, dict) else []
        content = next((each for each in inner if isinstance(each, dict)), content)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, expected a state dict")
    state = {name: value for name, value in content.items() if isinstance(value, _Tensor)}
    if not state or not all(isinstance(name, str) for name in state):
        found = ", ".join(map(repr, list(content)[:10])) or "nothing"
        raise ValueError(
            "it holds no tensors by name, neither at the top nor under"
            f" {', '.join(_WRAPPERS)}; found {found}"
        )
    return state


def _numbers(storage, data):
    if len(data) != storage.length * bytes_per_number(storage.number_type):
        raise ValueError(
            f"storage {storage.key} has {len(data)} bytes, too few or too many for its"
            f" {storage.length} numbers: the file is cut short or damaged"
        )
    return decode_numbers(data, storage.number_type)


def _array(tensor, numbers):
    """The array of a tensor: its own copy, so that no two share memory."""
    shape, strides = tensor.shape, tensor.strides
    size = int(np.prod(shape, dtype=object))
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min((*shape, *strides, tensor.offset)) < 0 or (size and last >= len(numbers)):
        raise ValueError(f"a tensor of shape {shape} reaches outside of its storage")
    if size > len(numbers):
        # Of stride 0: a few bytes could fill any memory.
        raise ValueError(f"a tensor of shape {shape} repeats its storage of {len(numbers)} numbers")
    if not size:
        return np.zeros(shape, numbers.dtype)
    start = numbers[tensor.offset :]
    steps = [step * numbers.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(start, shape, steps, writeable=False).copy()
