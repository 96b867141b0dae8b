"""A label's score beside where its heatmap looks, at every epoch whose network a run has kept.

Guo et al., CVPR 2019, Section 3.2 and Figure 2: the score of a present label is said to rise as its
heatmap comes to highlight the relevant region. The region is the mask of the label's objects.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import scipy.special

from vac_tf.analysis.objects.localization import judged_pairs
from vac_tf.datasets import Split
from vac_tf.evaluation.heatmaps_as_saliency import heatmap_density
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import predicted_batches
from vac_tf.inputs.settings import image_settings, naming_bad_images
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

LEAST_EPOCHS = 3  # Any two points lie on a line.


@dataclasses.dataclass(frozen=True)
class TrainingCourse:
    """P pairs of an image and a present label, at E epochs.

    Attributes:
        epochs: int [E], in rising order.
        images, labels: int [P], indices into the split.
        scores: float64 [E, P], probabilities.
        inside: float64 [E, P], share of the heatmap's density (its values above its smallest one)
            in the mask; NaN for a constant heatmap.
        inside_mirrored: the same in the mirror image (left and right) of the mask: a place of
            equal size, height and distance from the centre.
        mask_share: float64 [P], area of the mask over the image's.
    """

    epochs: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    inside: np.ndarray
    inside_mirrored: np.ndarray
    mask_share: np.ndarray


def measure_course(run_dir: str, split: Split, batch_size: int = 32) -> TrainingCourse:
    """Predicts with every kept network, and weighs every heatmap inside its mask.

    Pairs are judged as in `vac_tf.analysis.objects.localization`: without crowds, and with a mask
    that has a pixel. All heatmaps of these pairs are held in memory at once (E x P maps).

    Args:
        run_dir: of a run of train.py with `--keep_epoch_networks`.
        split: read with objects, with the labels in the run's order.
        batch_size: images per step.

    Raises:
        ValueError: fewer than three networks kept, a damaged one, nothing to judge, or a bad image.
    """
    folder = RunFolder(run_dir)
    epochs = folder.kept_epochs()
    if len(epochs) < LEAST_EPOCHS:
        raise ValueError(
            f"{run_dir!r} has kept the networks of {len(epochs)} epochs, at least {LEAST_EPOCHS}"
            " are needed. Train a run with --keep_epoch_networks and as many --epochs."
        )
    pairs = _pairs(split)
    if not len(pairs):
        raise ValueError(f"No present label of split {split.name!r} has a mask: nothing to judge.")
    scores, maps = zip(*_predictions(folder, epochs, split, pairs, batch_size), strict=True)
    inside = _weigh(split, pairs, np.stack(maps))
    return TrainingCourse(np.array(epochs), *pairs.T, np.stack(scores), *inside)


def _pairs(split: Split) -> np.ndarray:
    """int [P, 2] of image and label; their masks are made again where they are used."""
    counts = {"pairs_with_crowds": 0, "pairs_without_pixels": 0}
    pairs = [
        (image, label)
        for image, objects in enumerate(split.objects)
        for label, _, _ in judged_pairs(split, image, objects, counts)
    ]
    return np.array(pairs, int).reshape(-1, 2)


def _predictions(folder, epochs, split, pairs, batch_size) -> Iterator[tuple]:
    """Of every epoch the probabilities float64 [P] and the heatmaps float32 [P, h, w]."""
    source = ImageSource(split, image_settings(folder.read_config()))
    batches = evaluation_batches(source, split.labels, batch_size)
    network = load_network(folder.epoch_network_file(epochs[0]))
    groups = folder.read_label_groups()
    for epoch in epochs:
        # Into one network: its graph is made once.
        network.set_weights(load_network(folder.epoch_network_file(epoch)).get_weights())
        with naming_bad_images(source):
            yield _predict(network, batches, pairs, groups)


def _predict(network, batches, pairs, groups):
    scores, maps, first = [], [], 0
    for _, labels, outputs in predicted_batches(network, batches):
        inside = (pairs[:, 0] >= first) & (pairs[:, 0] < first + len(labels))
        place = tuple((pairs[inside] - (first, 0)).T)
        odds = log_odds(np.float64(outputs["logits"]), groups)
        scores.append(scipy.special.expit(odds[place]))
        maps.append(np.moveaxis(np.float32(outputs["heatmaps"]), 3, 1)[place])
        first += len(labels)
    return np.concatenate(scores), np.concatenate(maps)


def _weigh(split, pairs, maps):
    """`inside`, `inside_mirrored` [E, P] and `mask_share` [P] of heatmaps [E, P, h, w]."""
    counts = {"pairs_with_crowds": 0, "pairs_without_pixels": 0}
    inside, mirrored = (np.full(maps.shape[:2], np.nan) for _ in range(2))
    shares, pair = [], 0
    for image in np.unique(pairs[:, 0]):
        for _, mask, _ in judged_pairs(split, image, split.objects[image], counts):
            for epoch, heatmap in enumerate(maps[:, pair]):
                density = heatmap_density(heatmap, *mask.shape)
                if density is not None:
                    inside[epoch, pair] = density[mask].sum()
                    mirrored[epoch, pair] = density[:, ::-1][mask].sum()
            shares.append(mask.mean())
            pair += 1
    return inside, mirrored, np.array(shares)
