"""Numbers from the bytes that files of tensors hold."""

import numpy as np

BFLOAT16 = "bfloat16"


def decode_numbers(data: bytes | bytearray, number_type: str) -> np.ndarray:
    """The numbers `[N]` in little-endian bytes.

    Args:
        data: bytes of N numbers.
        number_type: a NumPy type such as `"<f4"`, or `"bfloat16"`, which NumPy lacks: it comes as
            the same numbers in float32.

    Raises:
        ValueError: the bytes are no whole number of elements.
    """
    if number_type == BFLOAT16:
        halves = np.frombuffer(data, "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32)
    return np.frombuffer(data, number_type)


def bytes_per_number(number_type: str) -> int:
    """Size in the file of one number of that type."""
    return 2 if number_type == BFLOAT16 else np.dtype(number_type).itemsize
