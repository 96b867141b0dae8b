"""Boxes of examples as integer crops, rounded as Pillow rounds them."""

import numpy as np

# Corners beyond are moved here: so far that `crop` refuses them like the scorer, which knows no
# such bound, and near enough for the difference of two of them to fit into 64 bits.
_FARTHEST = 2.0**61


def crop_boxes(boxes: np.ndarray) -> np.ndarray:
    """Integer crops of boxes, rounded as `PIL.Image.Image.crop` rounds (half to even).

    Args:
        boxes: [N, 4] of x, y, width, height in pixels; not changed.

    Returns:
        int64 [N, 4] of left, top, right, bottom in pixels; right and bottom are exclusive. They
        are the rounded x + width and y + height, not the rounded size. A box narrower than a
        pixel can round to an empty crop: then one pixel is kept.

    Raises:
        ValueError: when `boxes` is not of shape [N, 4].
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"Boxes must have the shape [N, 4], got {boxes.shape}.")
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    crops = np.clip(np.rint(corners), -_FARTHEST, _FARTHEST).astype(np.int64)
    crops[:, 2:] = np.maximum(crops[:, 2:], crops[:, :2] + 1)
    return crops
