"""Where two models look in images that one gets wrong and the other right (Luo et al., 2019,
Section 5.5 and Figure 5), and where one looks beside where people look."""

import dataclasses

import numpy as np
from PIL import Image

from vac_tf.analysis.classifier_outputs import ClassifierOutputs
from vac_tf.datasets.packed_images import open_image
from vac_tf.figures.heatmap_overlay import overlay
from vac_tf.figures.style import page_figure

_HEIGHT = 240  # pixels of an image in a panel
_WIDTH = 320  # at most
_EXAMPLES_PER_ROW = 2


@dataclasses.dataclass(frozen=True)
class PanelExample:
    """A label that is present and that one of two models finds.

    `before` is the probability by the model that misses it, `after` by the one that finds it.
    """

    image: int
    label: int
    before: float
    after: float


def changed_examples(
    labels: np.ndarray, missed_by: ClassifierOutputs, found_by: ClassifierOutputs, most: int
) -> list[PanelExample]:
    """Labels that are present, that one model misses and the other finds, one per image.

    Args:
        labels: [N, L] in {0, 1, NaN}.
        missed_by: the model that does not predict them.
        found_by: the model that does.
        most: number of examples.

    Returns:
        Largest gain of probability first.
    """
    changed = np.argwhere((labels == 1) & ~missed_by.predicted & found_by.predicted)
    rows = [
        PanelExample(int(i), int(j), float(missed_by.scores[i, j]), float(found_by.scores[i, j]))
        for i, j in changed
    ]
    examples: dict[int, PanelExample] = {}
    for row in sorted(rows, key=lambda row: row.before - row.after):
        examples.setdefault(row.image, row)
    return list(examples.values())[:most]


def read_thumbnail(path: str) -> np.ndarray:
    """The image in the size of a panel, uint8 `[h, w, 3]`."""
    with open_image(path) as file, Image.open(file) as image:
        image = image.convert("RGB")
        scale = min(_HEIGHT / image.height, _WIDTH / image.width)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def draw_panels(rows: list[tuple[str, list[tuple[str, np.ndarray]]]], path: str) -> None:
    """Draws examples, two beside each other, each a few pictures under its title.

    Args:
        rows: for each example its title, and captions and pictures `[H, W, 3]` in 0..255.
        path: the PNG to write.
    """
    per_example = len(rows[0][1])
    num_rows = -(-len(rows) // _EXAMPLES_PER_ROW)
    with page_figure(path, 1.95 * num_rows) as figure:
        grid = figure.subfigures(num_rows, _EXAMPLES_PER_ROW, squeeze=False, wspace=0.02)
        for (title, pictures), part in zip(rows, grid.flat, strict=False):
            part.suptitle(title, fontsize=11)
            axes = part.subplots(1, per_example, squeeze=False)[0]
            for axis, (caption, picture) in zip(axes, pictures, strict=True):
                axis.imshow(picture)
                axis.set_xlabel(caption, fontsize=9)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)


def compared_panels(
    examples: list[PanelExample],
    image_paths,
    label_names,
    missed_by: ClassifierOutputs,
    found_by: ClassifierOutputs,
) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    """The rows of `draw_panels`: each image, and the heatmaps of both models over it.

    Every heatmap has its own colours, from its smallest to its largest value: those of two models
    have no common scale.
    """
    rows = []
    for example in examples:
        picture = read_thumbnail(image_paths[example.image])
        pictures = [("image", picture)]
        for outputs in (missed_by, found_by):
            heatmap = outputs.heatmaps.of(example.image, example.label)
            confidence = float(outputs.scores[example.image, example.label])
            caption = f"{outputs.name}: {confidence:.3f}"
            pictures.append((caption, colour(picture, heatmap)))
        rows.append((label_names[example.label].replace("_", " "), pictures))
    return rows


def colour(picture: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """The picture with a heatmap over it, in colours from its smallest to its largest value."""
    return overlay(picture, heatmap, float(heatmap.min()), float(heatmap.max()))
