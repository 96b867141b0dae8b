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
from vac_tf.report.looking import Look, Looks, look_again

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


def draw_gallery(evaluated: EvaluatedRun, place: Callable[[int], Place]) -> list[LabelGallery]:
    """Chooses, predicts and draws.

    Args:
        evaluated: the evaluation.
        place: number of a shown label -> where its pictures go.
    """
    _, judged = judged_labels(evaluated.labels, evaluated.unknown_labels)
    probabilities = scipy.special.expit(evaluated.logits.astype(np.float32))
    chosen = {
        label: choose_images(judged[:, label], probabilities[:, label], evaluated.config.threshold)
        for label in shown_labels(evaluated)
    }
    pairs = [(image, label) for label, kinds in chosen.items() for image in sum(kinds.values(), [])]
    looks = look_again(evaluated, pairs)
    return [
        _label_gallery(evaluated, label, kinds, probabilities[:, label], looks, place(number))
        for number, (label, kinds) in enumerate(chosen.items())
    ]


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


def _label_gallery(evaluated, label, kinds, probabilities, looks: Looks, place) -> LabelGallery:
    images = sum(kinds.values(), [])
    scale = _scale([looks.maps[image, label] for image in images if (image, label) in looks.maps])
    row = evaluated.results["per_label"][label]
    files = {image: os.path.basename(evaluated.source.split.image_paths[image]) for image in images}

    def shown(image):
        picture, look = looks.pictures[image], looks.maps.get((image, label))
        over = None if look is None else place(overlay(picture, look.original, *scale))
        return Shown(place(picture), over, float(probabilities[image]), files[image])

    mirrored = None
    if images and (images[0], label) in looks.maps:
        look = looks.maps[images[0], label]
        mirrored = _mirrored(
            row["name"], looks.pictures[images[0]], look, scale, files[images[0]], place
        )
    return LabelGallery(
        row["name"],
        row["AP"],
        row["positives"],
        {KINDS[kind]: [shown(image) for image in chosen] for kind, chosen in kinds.items()},
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
