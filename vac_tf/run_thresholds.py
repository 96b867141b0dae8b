"""Thresholds of a run: tuned into its folder, or measured on images they were not tuned on."""

import logging
from typing import Any

import numpy as np

from vac_tf.config import EvaluationConfig, TrainConfig
from vac_tf.datasets import Split
from vac_tf.datasets.selection import TEST_SPLITS, VALIDATION_PART
from vac_tf.decision_rule import DecisionRule, write_decision_rule
from vac_tf.run_folder import RunFolder
from vac_tf.stratified_folds import stratified_folds
from vac_tf.threshold_objectives import parse_objective
from vac_tf.threshold_tuning import TuningSettings, measure_by_cross_fitting, measure_rule, tune


def check_tuning(config: EvaluationConfig, split: Split) -> None:
    """Raises ValueError, before the network predicts, for what cannot be tuned on a split."""
    parse_objective(config.threshold_objective)
    stratified_folds(split.labels, split.image_paths, config.threshold_folds)
    if not np.any(split.labels == 1):
        raise ValueError(f"No label has a positive in split {config.split!r}: nothing to tune on.")


def tune_run(
    folder: RunFolder,
    config: EvaluationConfig,
    run_config: TrainConfig,
    split: Split,
    labels: np.ndarray,
    logits: np.ndarray,
) -> dict[str, Any]:
    """Tunes on a split and writes `thresholds.json`, which replaces an earlier one.

    Args:
        folder: The run.
        config: What to tune, and the name of the split.
        run_config: The run's.
        split: The images.
        labels: `[N, L]` of the split, values 0, 1 or NaN (left out).
        logits: float32 `[N, L]` of the network.

    Returns:
        The `tuning` of `thresholds.json`: how the rule was tuned, and its cross-fitted gain.
    """
    objective = parse_objective(config.threshold_objective) if config.tune_thresholds else None
    settings = TuningSettings(
        objective,
        config.calibrate,
        config.threshold_shrinkage,
        config.threshold,
        config.threshold_folds,
        run_config.seed,
    )
    gain = measure_by_cross_fitting(labels, logits, split.image_paths, settings)
    rule = tune(labels, logits, settings)
    thresholds = rule.thresholds

    def names(chosen):
        return [split.label_names[index] for index in np.flatnonzero(chosen)]

    tuning = {
        "objective": objective.name if objective else None,
        "shrinkage": config.threshold_shrinkage,
        "fixed_threshold": config.threshold,
        "global_threshold": float(thresholds.global_value),
        "labels_on_global_threshold": names(thresholds.without_positives),
        "labels_never_decided": names(thresholds.never),
        **_describe_images(config, run_config, len(split)),
        "cross_fitted": True,
        **gain,
    }
    written = DecisionRule(split.label_names, thresholds.values, rule.calibration, tuning)
    write_decision_rule(folder, written)
    return tuning


def measure_run(
    folder: RunFolder,
    config: EvaluationConfig,
    rule: DecisionRule,
    labels: np.ndarray,
    logits: np.ndarray,
) -> dict[str, Any]:
    """What the rule of a run gains on a split; arrays as for `tune_run`.

    Returns:
        How the rule was tuned, and `comparison` and `calibration` on this split.
    """
    same = _images(folder, rule.tuning["split"]) == _images(folder, config.split)
    if same:
        logging.warning("The thresholds were tuned on this very split: their gain flatters.")
    told = ("objective", "shrinkage", "split", "images", "is_test_split", "is_training_split")
    told += ("labels_on_global_threshold", "labels_never_decided")
    objective = rule.tuning["objective"]
    return {
        **{key: rule.tuning[key] for key in told},
        "fixed_threshold": config.threshold,
        "cross_fitted": False,
        "tuned_on_this_split": same,
        **measure_rule(
            labels,
            logits,
            rule.calibration,
            rule.thresholds,
            parse_objective(objective) if objective else None,
            config.threshold,
        ),
    }


def _images(folder: RunFolder, split_name: str) -> str:
    """One name for equal images: a split that selected the network is the validation part."""
    selected_on = folder.read_json("selection.json")["selected_on"]
    return VALIDATION_PART if selected_on.startswith(f"{split_name} split") else split_name


def _describe_images(config, run_config, count: int) -> dict[str, Any]:
    """Which images a rule is tuned on; warns of those that spoil what is reported later."""
    is_test = config.split == TEST_SPLITS[run_config.dataset]
    is_test |= config.split == VALIDATION_PART and run_config.paper_protocol
    is_training = config.split == run_config.train_split
    if is_test:
        logging.warning(
            "Thresholds are tuned on the test split: figures of this split with them flatter. Tune"
            " on --split=%s.",
            VALIDATION_PART,
        )
    if is_training:
        logging.warning(
            "Thresholds are tuned on the images that the network was trained on, where it is too"
            " sure of itself. Tune on --split=%s.",
            VALIDATION_PART,
        )
    return {
        "split": config.split,
        "images": count,
        "is_test_split": bool(is_test),
        "is_training_split": is_training,
        "unknown_labels": config.unknown_labels or run_config.unknown_labels,
    }
