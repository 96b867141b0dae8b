"""The GPUs that CUDA shows this process."""

import ctypes
from typing import Any

_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_LONGEST_NAME = 256


def gpu_names(driver: Any = None) -> list[str]:
    """Names of the GPUs by number.

    The driver is asked, which itself hides what CUDA_VISIBLE_DEVICES does not list: so the numbers
    are those that ONNX Runtime takes.

    Args:
        driver: The driver's library; default: the one of this host.

    Raises:
        OSError: when the driver cannot be loaded or does not answer.
    """
    driver = driver or ctypes.CDLL("libcuda.so.1")
    error = driver.cuInit(0)
    if error == _NO_DEVICE:
        return []
    _check(error, "cuInit")
    count = ctypes.c_int()
    _check(driver.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    return [_name(driver, number) for number in range(count.value)]


def _name(driver: Any, number: int) -> str:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
    _check(driver.cuDeviceGet(ctypes.byref(device), number), "cuDeviceGet")
    _check(driver.cuDeviceGetName(name, _LONGEST_NAME, device), "cuDeviceGetName")
    return name.value.decode(errors="replace")


def _check(error: int, function: str) -> None:
    if error:
        raise OSError(f"the NVIDIA driver answers {function} with the error {error}")
