"""Heatmaps over images, and the picture of an image and its mirror image (VAC paper, Figure 1)."""

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from PIL import Image

COLORS = colormaps["turbo"]


def enlarge(heatmap: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation of `[h, w]` to `[height, width]`, as the VAC paper shows heatmaps."""
    image = Image.fromarray(np.asarray(heatmap, "float32"), mode="F")
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def overlay(
    image: np.ndarray, heatmap: np.ndarray, low: float, high: float, opacity: float = 0.55
) -> np.ndarray:
    """An image with its heatmap in colours over it.

    Args:
        image: `[H, W, 3]` in 0..255.
        heatmap: `[h, w]`, enlarged to the image.
        low: Value of the coldest colour; lower values show as it.
        high: Value of the hottest colour.
        opacity: Of the colours, 0 to 1.

    Returns:
        uint8 `[H, W, 3]`.
    """
    large = enlarge(heatmap, *image.shape[:2])
    shares = np.clip((large - low) / max(high - low, 1e-12), 0.0, 1.0)
    colors = COLORS(shares)[..., :3] * 255.0
    return np.rint(np.asarray(image) * (1.0 - opacity) + colors * opacity).astype("uint8")


def draw_mirror_comparison(
    images: np.ndarray,
    heatmaps: dict[str, tuple[np.ndarray, np.ndarray]],
    captions: list[str],
    path: str,
) -> None:
    """Draws images beside their mirror images, with the heatmaps of several networks below.

    Each network's two maps of an example share one colour scale, so that what changes in the
    picture changes in the network.

    Args:
        images: `[N, H, W, 3]` in 0..255.
        heatmaps: Name of a network -> (heatmaps `[N, h, w]` of the images, heatmaps `[N, h, w]` of
            the mirror images, not flipped back).
        captions: One per image, such as the name of the label.
        path: The PNG to write.
    """
    with rc_context({"text.parse_math": False}):  # Names may hold two dollar signs.
        figure = _mirror_comparison(images, heatmaps, captions)
        figure.savefig(path, dpi=110)


def _mirror_comparison(images, heatmaps, captions):
    num_rows, num_columns = 1 + len(heatmaps), 2 * len(images)
    figure = Figure(figsize=(1.55 * num_columns, 1.62 * num_rows + 0.3), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, right = 2 * number, 2 * number + 1
        mirrored = image[:, ::-1]
        axes[0, left].set_title(caption, fontsize=11)
        axes[0, right].set_title("mirrored", fontsize=11)
        axes[0, left].imshow(image.astype("uint8"))
        axes[0, right].imshow(mirrored.astype("uint8"))
        for row, (original, flipped) in enumerate(heatmaps.values(), start=1):
            pair = np.stack([original[number], flipped[number]])
            scale = float(pair.min()), float(pair.max())
            axes[row, left].imshow(overlay(image, pair[0], *scale))
            axes[row, right].imshow(overlay(mirrored, pair[1], *scale))
    for row, name in enumerate(["image", *heatmaps]):
        axes[row, 0].set_ylabel(name, fontsize=11)
    return figure
