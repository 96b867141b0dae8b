"""What a classifier says of the images of a split: probabilities, decisions, heatmaps."""

import dataclasses
import os

import numpy as np

from vac_tf.analysis.scored_file import read_scored_file
from vac_tf.datasets.split import DatasetError, Split
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.inputs.exif_orientation import check_upright
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import predicted_batches
from vac_tf.inputs.settings import image_settings, naming_bad_images
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.metrics.saturation import warn_of_lost_order
from vac_tf.models.dual_stream import with_stream_heatmaps
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_UNTUNED_THRESHOLD = np.float32(0.5)
# Output of a network -> the stream whose heatmaps it holds.
_HEATMAPS = {"heatmaps": "whole", "trunk_heatmaps": "trunk", "branch_heatmaps": "branch"}


@dataclasses.dataclass(frozen=True)
class LabelHeatmaps:
    """The heatmaps of the labels that an image has or is said to have; those of all would not fit
    in memory.

    Attributes:
        images, labels: int [P], index of the image and of the label, in rising order.
        maps: float32 [P, h, w].
    """

    images: np.ndarray
    labels: np.ndarray
    maps: np.ndarray

    def of(self, image: int, label: int) -> np.ndarray:
        """float32 [h, w]; IndexError when that label is neither present nor predicted."""
        return self.maps[np.flatnonzero((self.images == image) & (self.labels == label))[0]]


@dataclasses.dataclass(frozen=True)
class ClassifierOutputs:
    """One model on one split.

    Attributes:
        name: to show.
        scores: float32 [N, L], probabilities.
        ranking: float32 [N, L], what ranks the images of a label: its logits (of labels that
            exclude each other their log-odds), or the probabilities of a scored file that holds no
            logits.
        predicted: bool [N, L].
        decided_by: what made a label predicted, in words.
        heatmaps: None for a scored file.
        stream_heatmaps: of a dual-stream network, those of each stream alone, by its name.
    """

    name: str
    scores: np.ndarray
    ranking: np.ndarray
    predicted: np.ndarray
    decided_by: str
    heatmaps: LabelHeatmaps | None = None
    stream_heatmaps: dict[str, LabelHeatmaps] = dataclasses.field(default_factory=dict)


def predict_split(
    run_dir: str, split: Split, threshold: float, batch_size: int
) -> ClassifierOutputs:
    """The outputs of a run's best network.

    Args:
        run_dir: folder that train.py wrote.
        split: the images, with the labels in the run's order.
        threshold: a label is predicted when its float32 probability is above it; below 0: as the
            run's thresholds.json says, calibration included, or 0.5 where there is none.
        batch_size: images per step.

    Raises:
        ValueError: no network there, tuned thresholds of another network, a bad image, or one that
            the run turns upright.
    """
    folder = RunFolder(run_dir)
    network = with_stream_heatmaps(load_network(folder.network_file))
    settings = image_settings(folder.read_config())
    if settings.apply_exif_orientation:
        check_upright(split.image_paths, f"The run {run_dir!r}")
    source = ImageSource(split, settings)
    calibration, thresholds, decided_by = _decision_rule(folder, split.label_names, threshold)

    ranking, scores, predicted, pairs, maps, first = [], [], [], [], [], 0
    with naming_bad_images(source):
        batches = evaluation_batches(source, split.labels, batch_size)
        for _, labels, outputs in predicted_batches(network, batches):
            logits = np.float32(outputs["logits"])
            probabilities = calibration.probabilities(logits)
            decided = calibration.decide(probabilities, thresholds)
            kept = (labels.numpy() == 1) | decided
            ranking.append(log_odds(logits, calibration.label_groups))
            scores.append(probabilities)
            predicted.append(decided)
            pairs.append(np.argwhere(kept) + (first, 0))
            maps.append(_maps_of(outputs, kept))
            first += len(probabilities)
    scores, pairs = np.concatenate(scores), np.concatenate(pairs)
    heatmaps = {
        stream: LabelHeatmaps(*pairs.T, np.concatenate([batch[name] for batch in maps]))
        for name, stream in _HEATMAPS.items()
        if name in maps[0]
    }
    whole = heatmaps.pop(_HEATMAPS["heatmaps"])
    return ClassifierOutputs(
        _name(run_dir),
        scores,
        np.concatenate(ranking),
        np.concatenate(predicted),
        decided_by,
        whole,
        heatmaps,
    )


def _maps_of(outputs, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Of each output of heatmaps those of the labels kept `[B, L]`, float32 `[P, h, w]`."""
    return {
        name: np.moveaxis(np.float32(outputs[name]), 3, 1)[kept]
        for name in _HEATMAPS
        if name in outputs
    }


def read_outputs(path: str, split: Split, threshold: float) -> ClassifierOutputs:
    """The outputs in a file that score.py wrote.

    Args:
        path: the file.
        split: the images and the labels.
        threshold: a label is predicted when its probability is above it; below 0: the decisions
            of the file.

    Raises:
        DatasetError: the file cannot be read, is of other labels, or lacks an image.
    """
    rows = read_scored_file(path, split.image_paths, split.label_names)
    if rows.missing:
        raise DatasetError(
            f"{path}: no scores of {len(rows.missing)} of {len(split)} images, the first being"
            f" {split.image_paths[rows.missing[0]]}. Score all images of the split, or leave such"
            " images out with --skip_bad_images."
        )
    scores, ranking = rows.probabilities, rows.logits
    if ranking is None:
        advice = f"Score {path} again with --logits."
        warn_of_lost_order(split.labels, scores, split.label_names, advice)
        ranking = scores
    if threshold < 0:
        decisions = rows.decisions
        return ClassifierOutputs(
            _name(path), scores, ranking, decisions, "the decisions of the file"
        )
    threshold = np.float32(threshold)
    decided_by = f"threshold {threshold:g}"
    return ClassifierOutputs(_name(path), scores, ranking, scores > threshold, decided_by)


def _decision_rule(folder: RunFolder, label_names, threshold: float):
    """Calibration, float32 thresholds (one, or one per label), and both in words."""
    rule = read_decision_rule(folder, label_names) if threshold < 0 else None
    if rule is not None:
        return rule.calibration, rule.thresholds, "the run's tuned thresholds"
    threshold = _UNTUNED_THRESHOLD if threshold < 0 else np.float32(threshold)
    groups = folder.read_label_groups()
    return Calibration.identity(len(label_names), groups), threshold, f"threshold {threshold:g}"


def _name(path: str) -> str:
    return os.path.basename(os.path.normpath(path))
