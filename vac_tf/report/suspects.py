"""Labels that may be wrong, and images that are there twice."""

import dataclasses
import os

import numpy as np

from vac_tf.datasets.near_duplicates import close_pairs
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.metrics.label_quality import self_confidence
from vac_tf.report.gallery import Place, Shown, show
from vac_tf.report.looking import Looks

_MOST_OF_A_LABEL = 3


@dataclasses.dataclass(frozen=True)
class Suspect:
    """A label that the network does not believe: its name, whether it is given, the image."""

    name: str
    is_given: bool
    shown: Shown


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """Two images that look alike: addresses, names, and the labels that differ."""

    photographs: list[str]
    files: list[str]
    differing: list[str]


def suspect_labels(evaluated: EvaluatedRun, most: int = 18) -> list[tuple[int, int]]:
    """Image and label of the lowest self-confidence, at most three images of each label.

    Args:
        evaluated: the evaluation; unknown labels, and labels that the network finds as likely as
            not or likelier, are no suspects.
        most: number of suspects.
    """
    confidence = self_confidence(evaluated.labels, evaluated.probabilities)
    lowest = np.argsort(confidence, axis=0)[:_MOST_OF_A_LABEL]  # Unknown ones come last.
    cells = sorted(
        (confidence[image, label], int(image), label)
        for label, images in enumerate(lowest.T)
        for image in images
        if confidence[image, label] < 0.5
    )
    return [(image, label) for _, image, label in cells[:most]]


def show_suspect(evaluated: EvaluatedRun, pair, looks: Looks, place: Place) -> Suspect:
    """A pair of `suspect_labels` with its pictures."""
    image, label = pair
    name, is_given = evaluated.source.split.label_names[label], evaluated.labels[image, label] == 1
    return Suspect(name, bool(is_given), show(evaluated, image, label, looks, place))


def duplicate_images(evaluated: EvaluatedRun, most: int = 12) -> tuple[int, list[tuple[int, int]]]:
    """How many pairs of images look alike, and which to show: first those whose labels differ.

    Of very many pairs the first 10,000 are chosen from.

    Args:
        evaluated: the evaluation; without `hashes` there are none. Boxes of one photograph are no
            duplicates.
        most: pairs to show.
    """
    if evaluated.hashes is None:
        return 0, []
    photographs = np.unique(evaluated.source.split.image_paths, return_inverse=True)[1]
    count, found = close_pairs(evaluated.hashes, sources=photographs)
    differing = [len(_differing(evaluated, pair)) for pair in found[:, :2]]
    first = np.argsort(-np.array(differing, int), kind="stable")[:most]
    return count, [(int(one), int(other)) for one, other, _ in found[first]]


def show_duplicate(evaluated: EvaluatedRun, pair, looks: Looks, place: Place) -> Duplicate:
    """A pair of `duplicate_images` with its pictures."""
    split = evaluated.source.split
    return Duplicate(
        [place(looks.pictures[image]) for image in pair],
        [os.path.basename(split.image_paths[image]) for image in pair],
        [split.label_names[label] for label in _differing(evaluated, pair)],
    )


def _differing(evaluated, pair):
    """Labels that one image of a pair has and the other has not."""
    return np.flatnonzero(evaluated.labels[pair[0]] + evaluated.labels[pair[1]] == 1)
