"""The input of one batch on the GPU, and page-locked memory to copy it from."""

import ctypes
import logging
import re
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from export.scoring.runtime.input_buffer import INPUT_NAME, InputBuffer

_LOGGER = logging.getLogger(__name__)


class GpuInputBuffer(InputBuffer):
    """As `InputBuffer`; `upload` copies to the GPU, so that it can run beside another `run`.

    Args:
        session: An `onnxruntime.InferenceSession` with the input `images`.
        shape: `[slots, height, width, 3]`.
        dtype: float32 or uint8.
        gpu: Number of the GPU where the copy lies.
        runtime: CUDA's runtime library, or None.
        device: `cuda`, or `cpu` to try it without a GPU.
    """

    def __init__(
        self,
        session: Any,
        shape: Sequence[int],
        dtype: str,
        gpu: int = 0,
        runtime: Any = None,
        device: str = "cuda",
    ):
        super().__init__(session)
        self._gpu, self._runtime = gpu, runtime
        self._on_device = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            list(shape), np.dtype(dtype).type, device, gpu
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(INPUT_NAME, self._on_device)

    def upload(self, images: np.ndarray) -> None:
        """Copies `images` to the device; returns when they are there."""
        if self._runtime is not None:
            # ONNX Runtime waits for the copy's end on the GPU that is this thread's at the moment.
            self._runtime.cudaSetDevice(self._gpu)
        self._on_device.update_inplace(images)

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The network's outputs for the images last uploaded, by name."""
        self._binding.clear_binding_outputs()
        for name in outputs:
            self._binding.bind_output(name)
        self._session.run_with_iobinding(self._binding)
        return dict(zip(outputs, self._binding.copy_outputs_to_cpu(), strict=True))


def load_cuda_runtime(maps: str = "/proc/self/maps") -> Any:
    """CUDA's runtime library, which the session has loaded; None where there is none.

    Args:
        maps: Lists the files that are mapped into this process.
    """
    with open(maps, encoding="utf-8", errors="surrogateescape") as file:
        match = re.search(r"/.*/libcudart\.so.*", file.read())
    return ctypes.CDLL(match.group()) if match else None


def lock_pages(array: np.ndarray, runtime: Any) -> bool:
    """Locks the memory of an array, so that the GPU copies it without a detour; until it dies.

    Args:
        array: Contiguous.
        runtime: CUDA's runtime library, or None.

    Returns:
        Whether it is locked; otherwise copies are slower, and the log says so.
    """
    address = ctypes.c_void_p(array.ctypes.data)
    if runtime is None or runtime.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), 0):
        if runtime is not None:
            # Forgets the error: ONNX Runtime would take it for that of its next kernel.
            runtime.cudaGetLastError()
        _LOGGER.warning("The input's memory cannot be page-locked: copies to the GPU are slower.")
        return False
    weakref.finalize(array, runtime.cudaHostUnregister, address)
    return True
