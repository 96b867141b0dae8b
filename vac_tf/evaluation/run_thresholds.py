"""Thresholds of a run: tuned into its folder, or measured on images they were not tuned on."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets import Split
from vac_tf.datasets.run_splits import (
    TEST_SPLITS,
    VALIDATION_PART,
    read_named_split,
    read_run_splits,
)
from vac_tf.datasets.same_images import same_images
from vac_tf.decisions.decision_rule import DecisionRule, write_decision_rule
from vac_tf.decisions.objectives import parse_objective
from vac_tf.decisions.stratified_folds import stratified_folds
from vac_tf.decisions.tuning import TuningSettings, measure_by_cross_fitting, measure_rule, tune
from vac_tf.evaluation.kept_thresholds import keep_unsure_labels
from vac_tf.runs.folder import RunFolder

_LOGGER = logging.getLogger(__name__)


def check_tuning(config: EvaluationConfig, run_config: TrainConfig, split: Split) -> None:
    """Raises ValueError, before the network predicts, for what cannot be tuned on a split."""
    parse_objective(config.threshold_objective)
    count = config.threshold_folds
    folds = stratified_folds(split.labels, split.units, count, run_config.seed)
    if not np.any(split.labels == 1):
        raise ValueError(f"No label has a positive in split {config.split!r}: nothing to tune on.")
    if not all(np.any(split.labels[folds != fold] == 1) for fold in range(count)):
        raise ValueError(
            f"All positives of split {config.split!r} lie in one of --threshold_folds={count}: the"
            " others leave nothing to tune on. Tune on more images."
        )


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
        run_config: The run's, with the folder where its own data lies now.
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
        folder.read_label_groups(),
    )
    gain = measure_by_cross_fitting(labels, logits, split.units, settings)
    rule = tune(labels, logits, settings)
    thresholds = rule.thresholds
    values, kept, judged = thresholds.values, np.zeros(len(split.label_names), bool), {}
    if objective:
        values, kept, judged = keep_unsure_labels(
            rule, gain.pop("verdict"), gain.pop("labels"), split.label_names, labels, logits, config
        )

    def names(chosen):
        return [split.label_names[index] for index in np.flatnonzero(chosen)]

    tuning = {
        "objective": objective.name if objective else None,
        "shrinkage": config.threshold_shrinkage,
        "fixed_threshold": config.threshold,
        "global_threshold": float(thresholds.global_value),
        "labels_on_global_threshold": names(thresholds.without_positives & ~kept),
        "labels_never_decided": names(thresholds.never & ~kept),
        **_describe_images(config, run_config, split),
        "cross_fitted": True,
        **judged,
        **gain,
    }
    written = DecisionRule(split.label_names, values, rule.calibration, tuning)
    write_decision_rule(folder, written)
    return tuning


def measure_run(
    config: EvaluationConfig,
    run_config: TrainConfig,
    rule: DecisionRule,
    split: Split,
    labels: np.ndarray,
    logits: np.ndarray,
) -> dict[str, Any]:
    """What the rule of a run gains on a split; arguments as for `tune_run`.

    Returns:
        How the rule was tuned, and `comparison` and `calibration` on this split.
    """
    tuned_on = rule.tuning["split"]
    shared = _shared(config, run_config, split, tuned_on)
    if shared:
        _LOGGER.warning(
            "The thresholds were tuned on %d of these %d images: their gain flatters.",
            shared,
            len(split),
        )
    told = ("objective", "split", "images", "is_test_split", "is_training_split")
    told += ("labels_on_global_threshold", "labels_never_decided", "verdict")
    objective = rule.tuning["objective"]
    found = measure_rule(
        labels,
        logits,
        rule.calibration,
        rule.thresholds,
        parse_objective(objective) if objective else None,
        config.threshold,
    )
    _warn_of_losses(found["comparison"], config)
    return {
        # Files of earlier versions hold no verdict.
        **{key: rule.tuning[key] for key in told if key in rule.tuning},
        "fixed_threshold": config.threshold,
        "cross_fitted": False,
        "tuned_on_this_split": shared > 0,
        **found,
    }


def _warn_of_losses(comparison, config) -> None:
    """Says which F1 the rule lowers on a split that it was not tuned on."""
    fixed, tuned = comparison["fixed"], comparison["tuned"]
    losses = [
        f"{name} from {100 * fixed[name]:.1f} to {100 * tuned[name]:.1f}"
        for name in ("F1-C", "F1-O")
        if fixed[name] is not None and tuned[name] < fixed[name]
    ]
    if losses:
        _LOGGER.warning(
            "On split %r the tuned thresholds lower %s, against the threshold %g.",
            config.split,
            " and ".join(losses),
            config.threshold,
        )


def _shared(config, run_config, split: Split, name: str) -> int:
    """How many examples of `split` are of images that the split `name` of the run's data has."""
    if config.split == name and not config.dataset:
        return len(split)
    return _of_same_images(split, f"split {name}", lambda: read_named_split(run_config, name))


def _of_same_images(split: Split, name: str, read: Callable[[], Split]) -> int:
    try:
        other = read()
    except (ValueError, OSError) as error:
        _LOGGER.warning("Whether images are also in the run's %s is not known: %s", name, error)
        return 0
    return int(np.sum(same_images(split.image_paths, other.image_paths)))


def _describe_images(config, run_config, split: Split) -> dict[str, Any]:
    """Which images a rule is tuned on; warns of those that spoil what is reported later."""
    trained_on = _of_same_images(
        split, "training images", lambda: read_run_splits(run_config).train
    )
    of_test = _shared(config, run_config, split, TEST_SPLITS[run_config.dataset])
    advice = f"Tune on --split={VALIDATION_PART}."
    if run_config.paper_protocol:
        advice = "A run with --paper_protocol keeps no other images: train one without it."
    if of_test:
        _LOGGER.warning(
            "Thresholds are tuned on %d images of the test split: figures of this split with them"
            " flatter. %s",
            of_test,
            advice,
        )
    if trained_on:
        _LOGGER.warning(
            "Thresholds are tuned on %d images that the network was trained on, where it is too"
            " sure of itself. %s",
            trained_on,
            advice,
        )
    return {
        "split": config.split,
        "images": len(split),
        "is_test_split": of_test > 0,
        "is_training_split": trained_on > 0,
        "unknown_labels": config.unknown_labels or run_config.unknown_labels,
    }
