"""How a model wants its images: what an exported file says and every reader of it follows."""

import dataclasses

from PIL import Image

RESIZE_KERNELS = ("bilinear", "nearest")
# Pillow's own limit, also where a program has switched Pillow's off.
_MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 1024**3 // 4 // 3


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How a model wants its images; travels inside the exported file.

    Attributes:
        height: Height of the network's input in pixels.
        width: Width of the network's input in pixels.
        resize_kernel: `bilinear` (antialiased, in float) or `nearest` (the 2019 release).
        max_pixels: Images and boxes with more pixels are refused before they are decoded.
        apply_exif_orientation: Turn images as their EXIF says.
        input_dtype: `float32`, or `uint8`: the resized values are rounded.
        fast_decode: Decode large JPEG at 1/2, 1/4 or 1/8 of their size (scaled inverse DCT), not
            below the network's input. A choice of the job and not of the file: values differ.
    """

    height: int
    width: int
    resize_kernel: str = "bilinear"
    max_pixels: int = _MAX_PIXELS
    apply_exif_orientation: bool = False
    input_dtype: str = "float32"
    fast_decode: bool = False

    def __post_init__(self) -> None:
        if self.resize_kernel not in RESIZE_KERNELS:
            raise ValueError(
                f"Unknown resize_kernel {self.resize_kernel!r}."
                f" Expected one of: {', '.join(RESIZE_KERNELS)}."
            )
        if self.input_dtype not in ("float32", "uint8"):
            raise ValueError(f"input_dtype must be float32 or uint8, got {self.input_dtype!r}.")
        if min(self.height, self.width, self.max_pixels) < 1:
            raise ValueError(
                "height, width and max_pixels must be at least 1, got"
                f" {self.height}, {self.width} and {self.max_pixels}."
            )
