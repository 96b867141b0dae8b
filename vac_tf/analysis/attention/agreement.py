"""Does a classifier look where people look? Its heatmaps, scored as saliency maps.

Every label that an image has, or is said to have, gives one pair (image, label) with a heatmap:
a true positive, a false negative or a false positive. A heatmap becomes a density by bilinear
enlargement to the size of the image, subtraction of its smallest value and division by the sum, so
scores do not change when a heatmap is shifted or multiplied by a positive number. A constant
heatmap looks nowhere: its scores are undefined (NaN), and it is counted.
"""

import dataclasses

import numpy as np

from vac_tf.analysis.attention.reference import (
    FixationReference,
    ImageAttention,
    PredictedReference,
)
from vac_tf.analysis.classifier_outputs import LabelHeatmaps
from vac_tf.evaluation.heatmaps_as_saliency import heatmap_density
from vac_tf.inputs.threads import in_parallel
from vac_tf.metrics import saliency as saliency_metrics

# What the heatmaps are scored by; without fixations by `cc` and `kld` only.
HIGHER_IS_BETTER = {"cc": True, "kld": False, "nss": True, "auc_judd": True, "shuffled_auc": True}
OUTCOMES = ("true_positive", "false_negative", "false_positive")


@dataclasses.dataclass(frozen=True)
class AgreementTable:
    """Scores of P pairs of an image and a label.

    Attributes:
        images, labels: int [P].
        outcomes: [P], names of `OUTCOMES`.
        scores: predictor -> metric -> float64 [P]. `heatmap` is the pair's; `centre_bias`,
            `chance` and, where there is one, `predicted_saliency` are those of the image, repeated
            for each of its pairs, so that means over the same pairs can be compared.
    """

    images: np.ndarray
    labels: np.ndarray
    outcomes: np.ndarray
    scores: dict[str, dict[str, np.ndarray]]


def score_map(saliency: np.ndarray, attention: ImageAttention, seed: int) -> dict[str, float]:
    """Every metric of `vac_tf.metrics.saliency` that the attention allows.

    Args:
        saliency: [H, W], not negative.
        attention: of the image.
        seed: of the fixations drawn for the shuffled AUC.
    """
    scores = {
        "cc": saliency_metrics.cc(saliency, attention.density),
        "kld": saliency_metrics.kld(saliency, attention.density),
    }
    if attention.counts is not None:
        scores["nss"] = saliency_metrics.nss(saliency, attention.counts)
        scores["auc_judd"] = saliency_metrics.auc_judd(saliency, attention.counts)
        scores["shuffled_auc"] = saliency_metrics.shuffled_auc(
            saliency, attention.counts, attention.other_counts, seed
        )
    return scores


def measure_agreement(
    heatmaps: LabelHeatmaps,
    labels: np.ndarray,
    predicted: np.ndarray,
    reference: FixationReference | PredictedReference,
    predict_saliency=None,
    seed: int = 0,
) -> AgreementTable:
    """Scores every heatmap of the images that the reference knows, beside the baselines.

    Args:
        heatmaps: of the labels present or predicted.
        labels: [N, L] in {0, 1, NaN}; pairs whose label is unknown are left out.
        predicted: bool [N, L].
        reference: where people look.
        predict_saliency: index of an image, height, width -> density, the prediction that is
            scored beside the heatmaps; None: without it.
        seed: of the fixations drawn for the shuffled AUC.
    """
    pairs_of = {image: [] for image in reference.images}
    for pair, (image, label) in enumerate(zip(heatmaps.images, heatmaps.labels, strict=True)):
        if image in pairs_of and not np.isnan(labels[image, label]):
            pairs_of[image].append(pair)

    def score(image):
        return _score_image(
            image, heatmaps.maps[pairs_of[image]], reference, predict_saliency, seed
        )

    images = [image for image in reference.images if pairs_of[image]]
    rows = [row for rows in in_parallel(score, images) for row in rows]
    pairs = [pair for image in images for pair in pairs_of[image]]
    image_indices, label_indices = heatmaps.images[pairs], heatmaps.labels[pairs]
    is_present = labels[image_indices, label_indices] == 1
    is_predicted = predicted[image_indices, label_indices]
    outcomes = np.where(is_present, np.where(is_predicted, OUTCOMES[0], OUTCOMES[1]), OUTCOMES[2])
    return AgreementTable(image_indices, label_indices, outcomes, _columns(rows))


def _score_image(image, maps, reference, predict_saliency, seed) -> list[dict]:
    """For each heatmap: predictor -> metric -> score."""
    attention = reference.at(image)
    size = attention.density.shape
    shared = {"centre_bias": attention.centre_bias, "chance": np.ones(size)}
    if predict_saliency is not None:
        shared["predicted_saliency"] = predict_saliency(image, *size)
    shared = {name: score_map(values, attention, seed) for name, values in shared.items()}
    rows = []
    for heatmap in maps:
        density = heatmap_density(heatmap, *size)
        if density is None:
            own = dict.fromkeys(shared["chance"], float("nan"))
        else:
            own = score_map(density, attention, seed)
        rows.append({"heatmap": own, **shared})
    return rows


def _columns(rows: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    return {
        predictor: {metric: np.array([row[predictor][metric] for row in rows]) for metric in scores}
        for predictor, scores in (rows[0] if rows else {}).items()
    }
