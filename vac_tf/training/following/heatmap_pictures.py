"""Heatmaps of the same validation images after every epoch, beside those of their mirror images.

As Figure 2 of the VAC paper shows them; here it is seen how they come to follow the flip.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.figures.heatmap_overlay import overlay
from vac_tf.inputs.prediction import inference
from vac_tf.losses.label_groups import grouped_probabilities

_SIDES = (96, 192)  # Pixels of a view in a picture, at least and at most.
_CAPTION, _GAP = 18, 2  # Pixels: height of the captions, width between the views.


def choose_examples(labels: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The images to show, always the same, and of each the label whose heatmap is shown.

    They lie evenly spread over those that have a label; of an image's labels the rarest is shown.

    Args:
        labels: `[N, L]`, 0, 1 or NaN (unknown).
        count: how many images at most.

    Returns:
        (row, column) in rising order of rows.
    """
    positive = labels == 1
    rows = np.flatnonzero(positive.any(axis=1))
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    totals = positive.sum(axis=0)
    return [
        (int(row), int(np.argmin(np.where(positive[row], totals, len(labels) + 1))))
        for row in rows[places]
    ]


def write_pictures(
    network,
    images: np.ndarray,
    examples: Sequence[tuple[int, int]],
    label_names: Sequence[str],
    label_groups: Sequence[LabelGroup] = (),
) -> None:
    """Writes a picture per example, under its number and its label.

    Args:
        network: images -> `logits` `[N, L]` and `heatmaps` `[N, h, w, L]`.
        images: float32 `[N, H, W, 3]` in 0..255, of the examples.
        examples: see `choose_examples`.
        label_names: L names.
        label_groups: labels that exclude each other.
    """
    for number, (_, column) in enumerate(examples):
        image = images[number]
        outputs = inference(network)(tf.constant(np.stack([image, image[:, ::-1]])))
        heatmaps = tf.cast(outputs["heatmaps"], tf.float32).numpy()[..., column]
        probabilities = grouped_probabilities(outputs["logits"], label_groups).numpy()[:, column]
        picture = mirror_picture(image, heatmaps, probabilities)
        tf.summary.image(
            f"heatmaps/{number + 1:02d} {label_names[column]}",
            picture[None],
            description="Above the image and its mirror image, below the heatmaps of the label,"
            " each of its own view, in one scale of colours; p is the label's probability.",
        )


def mirror_picture(
    image: np.ndarray, heatmaps: np.ndarray, probabilities: Sequence[float]
) -> np.ndarray:
    """An image and its mirror image, above plain and below with their heatmaps.

    Args:
        image: `[S', S', 3]` in 0..255.
        heatmaps: `[2, h, w]`: of the image and of its mirror image, not flipped back.
        probabilities: of both.

    Returns:
        uint8 `[2 S + 18, 2 S + 2, 3]`, S from 96 to 192.
    """
    side = int(np.clip(max(image.shape[:2]), *_SIDES))
    view = Image.fromarray(np.rint(image).astype("uint8")).resize((side, side))
    views = [np.asarray(view), np.asarray(view)[:, ::-1]]
    low, high = float(heatmaps.min()), float(heatmaps.max())
    maps = [
        overlay(view, heatmap, low, high) for view, heatmap in zip(views, heatmaps, strict=True)
    ]
    gap = np.full((side, _GAP, 3), 255, "uint8")
    rows = [np.concatenate([left, gap, right], axis=1) for left, right in (views, maps)]
    return np.concatenate([*rows, _captions(probabilities, side)])


def _captions(probabilities, width):
    strip = Image.new("RGB", (2 * width + _GAP, _CAPTION), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(13)
    for number, probability in enumerate(probabilities):
        draw.text((number * (width + _GAP) + 4, 1), f"p {probability:.2f}", "black", font)
    return np.asarray(strip)
