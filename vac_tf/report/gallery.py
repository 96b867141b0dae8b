"""The gallery: for every shown label where the network looks, when it is right and when not."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import scipy.special

from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.figures.heatmap_overlay import COLORS, overlay
from vac_tf.pages.inline_pictures import png_address
from vac_tf.report.asked_labels import asked_labels
from vac_tf.report.gallery_choice import KINDS, MOST_INSIDE, choose_images, worst_labels
from vac_tf.report.headlines import judged_labels
from vac_tf.report.looking import Look, Looks

Place = Callable[[np.ndarray], str]  # Puts pixels somewhere and says at which address.


@dataclasses.dataclass(frozen=True)
class Shown:
    """One image of a label: addresses of the photograph and of the map over it, and its caption.

    `overlay` is None for a network without heatmaps.
    """

    photograph: str
    overlay: str | None
    probability: float
    file: str


@dataclasses.dataclass(frozen=True)
class Mirrored:
    """An image, its mirror image and what differs: addresses; `inconsistency` is relative."""

    label: str
    original: str
    mirrored: str
    difference: str
    inconsistency: float | None
    file: str


@dataclasses.dataclass(frozen=True)
class LabelGallery:
    """What is shown of one label: kind -> images, and one image mirrored."""

    name: str
    precision: float | None
    positives: int
    kinds: dict[str, list[Shown]]
    mirrored: Mirrored | None


def shown_labels(evaluated: EvaluatedRun) -> list[int]:
    """The worst labels, then those that were asked for."""
    precisions = [row["AP"] for row in evaluated.results["per_label"]]
    asked = asked_labels(evaluated.config.report_labels, evaluated.source.split.label_names)
    return list(dict.fromkeys([*worst_labels(precisions), *asked]))


def choose_gallery(evaluated: EvaluatedRun) -> dict[int, dict[str, list[int]]]:
    """Label -> kind -> images, for every label that is shown."""
    _, judged = judged_labels(evaluated.labels, evaluated.unknown_labels)
    probabilities, decided = evaluated.probabilities, evaluated.decided
    return {
        label: choose_images(judged[:, label], probabilities[:, label], decided[:, label])
        for label in shown_labels(evaluated)
    }


def draw_gallery(
    evaluated: EvaluatedRun,
    chosen: dict[int, dict[str, list[int]]],
    looks: Looks,
    place: Callable[[int], Place],
) -> list[LabelGallery]:
    """Draws what was chosen.

    Args:
        evaluated: the evaluation.
        chosen: of `choose_gallery`.
        looks: of all its images.
        place: number of a shown label -> where its pictures go.
    """
    return [
        _label_gallery(evaluated, label, kinds, looks, place(number))
        for number, (label, kinds) in enumerate(chosen.items())
    ]


def show(
    evaluated: EvaluatedRun,
    image: int,
    label: int,
    looks: Looks,
    place: Place,
    scale: tuple[float, float] | None = None,
) -> Shown:
    """One image of a label; the colours of its map end at `scale`, by default at its own values."""
    picture, look = looks.pictures[image], looks.maps.get((image, label))
    over = None
    if look is not None:
        low, high = scale or (float(look.original.min()), float(look.original.max()))
        over = place(overlay(picture, look.original, low, high))
    probability = scipy.special.expit(evaluated.logits[image, label].astype(np.float32))
    file = os.path.basename(evaluated.source.split.image_paths[image])
    return Shown(place(picture), over, float(probability), file)


def least_consistent(galleries: Sequence[LabelGallery], most: int = 6) -> list[Mirrored]:
    """Of the mirrored examples those whose maps follow the mirror least."""
    known = [each.mirrored for each in galleries if each.mirrored]
    known = [each for each in known if each.inconsistency is not None]
    return sorted(known, key=lambda each: -each.inconsistency)[:most]


def color_bar() -> str:
    """The colours of heatmaps from low to high, as a picture."""
    return png_address(255 * COLORS(np.linspace(0, 1, 128))[None, :, :3])


def is_inside(number: int, asked: str) -> bool:
    """Whether the pictures of the so-manieth shown label lie in the page: not all of `all`."""
    return number < MOST_INSIDE or asked != "all"


def _label_gallery(evaluated, label, kinds, looks: Looks, place) -> LabelGallery:
    images = sum(kinds.values(), [])
    scale = _scale([looks.maps[image, label] for image in images if (image, label) in looks.maps])
    row = evaluated.results["per_label"][label]
    shown = {image: show(evaluated, image, label, looks, place, scale) for image in images}
    mirrored = None
    if images and (images[0], label) in looks.maps:
        look = looks.maps[images[0], label]
        file = shown[images[0]].file
        mirrored = _mirrored(row["name"], looks.pictures[images[0]], look, scale, file, place)
    return LabelGallery(
        row["name"],
        row["AP"],
        row["positives"],
        {KINDS[kind]: [shown[image] for image in chosen] for kind, chosen in kinds.items()},
        mirrored,
    )


def _mirrored(name, picture, look: Look, scale, file, place) -> Mirrored:
    turned = picture[:, ::-1]
    difference = np.abs(look.expected - look.mirrored)
    return Mirrored(
        name,
        place(overlay(picture, look.original, *scale)),
        place(overlay(turned, look.mirrored, *scale)),
        place(overlay(turned, difference, 0.0, scale[1] - scale[0])),
        look.inconsistency,
        file,
    )


def _scale(looks: Sequence[Look]) -> tuple[float, float]:
    """One scale of colours for all maps of a label, so that they can be compared."""
    values = [each for look in looks for each in (look.original, look.mirrored)]
    if not values:
        return 0.0, 1.0
    return float(min(map(np.min, values))), float(max(map(np.max, values)))
