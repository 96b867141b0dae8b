"""Evaluation of a run on one split: the paper's metrics, and how far heatmaps follow the image."""

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.datasets import Split
from vac_tf.datasets.near_duplicates import difference_hashes
from vac_tf.datasets.run_splits import TEST_SPLITS, VALIDATION_PART, read_named_split, with_data
from vac_tf.datasets.split_checks import SOFT_LABELS_ARE
from vac_tf.decisions.calibration import BINNING, Calibration, calibration_errors
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.evaluation.heatmap_consistency import (
    heatmap_strides,
    predict_and_compare,
    table2_transforms,
)
from vac_tf.evaluation.robustness import distorted_logits, robustness
from vac_tf.evaluation.run_thresholds import check_tuning, measure_run, tune_run
from vac_tf.evaluation.saved_scores import save_scores
from vac_tf.evaluation.seen_images import seen_images
from vac_tf.evaluation.test_time_views import parse_views, with_views
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.settings import (
    image_settings,
    known_labels,
    leave_bad_images_out,
    naming_bad_images,
)
from vac_tf.metrics.label_groups.decisions import decide, log_odds
from vac_tf.metrics.label_groups.group_metrics import measure_groups
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models.saliency_weighting import weight_by_saliency
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.saliency_network import read_saliency_network

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """An evaluation with what it was made of, for whoever shows more than its numbers.

    Attributes:
        config: of the evaluation; its `split` is filled in.
        run_config: of the run, with the folder of the data that were read.
        folder: of the run.
        network: images -> `logits` and `heatmaps`.
        source: the N images of the split.
        labels: float32 `[N, L]`, 0, 1 or NaN (unknown), as the split has them.
        unknown_labels: what NaN means in the metrics.
        logits: float32 `[N, L]`, whose sigmoids are the probabilities: of the network, or of labels
            that exclude each other the log-odds of their softmax.
        hashes: uint64 `[N]` of `difference_hashes`; None where no page is wanted.
        results: the contents of `evaluation.json`.
        label_groups: labels of the run that exclude each other.
    """

    config: EvaluationConfig
    run_config: TrainConfig
    folder: RunFolder
    network: Any
    source: ImageSource
    labels: np.ndarray
    unknown_labels: str
    logits: np.ndarray
    hashes: np.ndarray | None
    results: dict
    label_groups: tuple[LabelGroup, ...] = ()

    @property
    def probabilities(self) -> np.ndarray:
        """float32 `[N, L]`, not calibrated."""
        return scipy.special.expit(self.logits.astype(np.float32))

    @property
    def decided(self) -> np.ndarray:
        """bool `[N, L]`, by the threshold of the evaluation."""
        return decide(self.probabilities, self.config.threshold, self.label_groups)


def evaluate(config: EvaluationConfig) -> dict:
    """Evaluates the best network of a run and writes `evaluation.json` into its folder.

    Returns:
        The contents of `evaluation.json`: the groups of `vac_tf.metrics.evaluate_multilabel`,
        `inconsistency` (per transform: `raw`, Equation 5, and `relative`), `tuned_thresholds`
        (where the run has thresholds, or gets them now), `saliency_weighted` (with a
        `saliency_run`: the same groups of the network weighted by it), `robustness` (of
        `vac_tf.evaluation.robustness`) and `calibration` on request, and `conventions`.

    Raises:
        ValueError: no such run or split, other labels than the run's, a bad image, thresholds that
            were tuned for another network, or a saliency run that does not fit.
    """
    return evaluate_run(config).results


def evaluate_run(config: EvaluationConfig) -> EvaluatedRun:
    """As `evaluate`, and what the results were made of."""
    folder = RunFolder(config.run_dir)
    own_config = folder.read_config()
    run_config = with_data(own_config, config.dataset, config.data_dir)
    if not config.dataset:  # What it has seen is of its own data.
        own_config = run_config
    config = _with_split(config, run_config)
    label_names = folder.read_label_names()
    network, strides = _read_network(config, run_config, folder)
    weighted = _weighted(config, run_config, network)
    rule = None if config.tunes else read_decision_rule(folder, label_names)
    groups = folder.read_label_groups()
    split, skipped = _read_split(config, run_config, label_names)
    asked_groups = read_label_groups(config.label_groups, label_names)
    if config.tunes:
        check_tuning(config, run_config, split)

    predicted = _predict(config, run_config, network, strides, split)
    logits = predicted.logits
    unknown = config.unknown_labels or run_config.unknown_labels

    measure = _measuring(config, split, unknown, groups)
    evaluation = measure(logits)
    if weighted:
        weighted_logits, _ = predict_and_compare(weighted, predicted.batches, {})
        evaluation["saliency_weighted"] = measure(weighted_logits)
        evaluation["saliency_weighted"]["saliency_run"] = config.saliency_run
    if config.inconsistency:
        evaluation["inconsistency"] = predicted.inconsistency
    known = known_labels(split.labels, unknown)
    odds = log_odds(logits, groups)
    if asked_groups:
        asked = (asked_groups, split.label_names)
        evaluation["label_groups"] = _measure_groups(known, odds, config.threshold, groups, *asked)
    if config.robustness:
        evaluation |= _robustness(network, predicted, known, measure, config.threshold, groups)
    if config.save_scores:
        save_scores(folder, split, odds)
    if config.tunes:
        evaluation["tuned_thresholds"] = tune_run(folder, config, own_config, split, known, logits)
    elif rule:
        evaluation["tuned_thresholds"] = measure_run(config, own_config, rule, split, known, logits)
    evaluation["conventions"] |= _describe_selection(folder, own_config, split, config.split)
    evaluation["conventions"] |= _describe_images(
        config, run_config, split, skipped, predicted.transforms
    )
    folder.write_json("evaluation.json", evaluation)
    return EvaluatedRun(
        config,
        run_config,
        folder,
        network,
        predicted.source,
        split.labels,
        unknown,
        odds,
        predicted.hashes,
        evaluation,
        groups,
    )


def _read_network(config, run_config, folder):
    """The network that is evaluated, and the strides of its heatmaps."""
    network = load_network(folder.network_file)
    strides = heatmap_strides(network)  # Of one with views no stream is known.
    views = parse_views(config.tta, run_config.resize_kernel)
    return with_views(network, views, run_config.image_size) if views else network, strides


def _measuring(config, split, unknown, groups) -> Callable[[np.ndarray], dict]:
    """Logits -> the metrics of the split, with the conventions that are asked for."""
    return functools.partial(
        evaluate_logits,
        split.labels,
        label_names=split.label_names,
        threshold=config.threshold,
        unknown=unknown,
        average_precision=config.average_precision,
        label_groups=groups,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Predicted:
    """A split as a network sees it: its batches, logits, and what their views differ by."""

    source: ImageSource
    batches: Any
    transforms: dict[str, Any]
    logits: np.ndarray
    inconsistency: dict
    hashes: np.ndarray | None


def _predict(config, run_config, network, strides, split: Split) -> _Predicted:
    source = ImageSource(split, image_settings(run_config))
    transforms, stride = {}, 1
    if config.inconsistency:
        size, kernel = run_config.image_size, run_config.resize_kernel
        transforms, stride = table2_transforms(network, size, kernel, strides), min(strides)
    batches = evaluation_batches(source, split.labels, config.batch_size)
    hashes: list[np.ndarray] = []
    watched = _watched(batches, hashes) if config.report else batches
    with naming_bad_images(source):
        logits, inconsistency = predict_and_compare(network, watched, transforms, stride)
    fingerprints = np.concatenate(hashes) if hashes else None
    return _Predicted(source, batches, transforms, logits, inconsistency, fingerprints)


def _weighted(config, run_config, network):
    if not config.saliency_run:
        return None
    saliency = read_saliency_network(config.saliency_run, run_config)
    return weight_by_saliency(network, saliency)


def _measure_groups(known, odds, threshold, groups, asked_groups, label_names) -> dict:
    """The metrics of groups that were asked for, of the decisions that the run makes."""
    probabilities = scipy.special.expit(odds.astype(np.float32))
    decided = decide(probabilities, threshold, groups)
    return measure_groups(known, probabilities, decided, threshold, asked_groups, label_names)


def _robustness(network, predicted: _Predicted, known, measure, threshold, groups):
    """What distorted images change, and how well probabilities say how often they are right."""
    logits, distorted = predicted.logits, distorted_logits(network, predicted.batches)
    probabilities = Calibration.identity(logits.shape[1], groups).probabilities(logits)

    def mean_average_precision(values):
        return measure(values)["label_based"]["mAP"]

    return {
        "robustness": robustness(logits, distorted, mean_average_precision, threshold, groups),
        "calibration": calibration_errors(known, probabilities) | {"binning": BINNING},
    }


def _describe_images(config, run_config, split, skipped, transforms):
    described = {
        "dataset": run_config.dataset,
        "split": config.split,
        "skipped_images": len(skipped),
        "inconsistency": {name: transform.spec for name, transform in transforms.items()},
    }
    if config.tta:
        described["tta"] = config.tta
    if split.soft_labels is not None:
        described["soft_labels"] = SOFT_LABELS_ARE
    return described


def _describe_selection(folder, run_config, split, split_name):
    """How the network was selected; warns when it has seen images that are evaluated now."""
    selection = folder.read_json("selection.json")
    seen = seen_images(run_config, split)
    if seen:
        seen.warn(split_name, len(split))
    return {
        "selected_on": selection["selected_on"],
        "selected_on_this_split": seen.selected_on > 0 if seen else None,
        "images_selected_on": seen.selected_on if seen else None,
        "images_trained_on": seen.trained_on if seen else None,
        "shared_groups": seen.shared_groups if seen else None,
        "learnt_before": list(seen.learnt_before) if seen else None,
        "selected_epoch": selection["epoch"],
        "selected_weights": selection["weights"],
    }


def _with_split(config: EvaluationConfig, run_config: TrainConfig) -> EvaluationConfig:
    default = VALIDATION_PART if config.tunes else TEST_SPLITS.get(run_config.dataset, "test")
    return dataclasses.replace(config, split=config.split or default)


def _read_split(config: EvaluationConfig, run_config: TrainConfig, label_names) -> tuple:
    run_config = dataclasses.replace(run_config, skip_bad_images=config.skip_bad_images)
    split: Split = read_named_split(run_config, config.split).with_labels(label_names)
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    if not config.skip_bad_images:
        return split, []
    return leave_bad_images_out(split, image_settings(run_config))


def _watched(batches, hashes: list):
    """The same batches; on the way the fingerprints of their images are kept."""
    for images, labels in batches:
        hashes.append(difference_hashes(images.numpy()))
        yield images, labels
