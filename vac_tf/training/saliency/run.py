"""A saliency training run, from its config to its run folder and its evaluation."""

import keras
import numpy as np
import tensorflow as tf

from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.fixations.run_splits import evaluation_split_name
from vac_tf.evaluation.saliency import evaluate_saliency_run, predict_logits
from vac_tf.figures.saliency_panels import saliency_panel
from vac_tf.losses.saliency import parse_losses
from vac_tf.metrics.saliency_density import saliency_density
from vac_tf.metrics.saliency_scores import METRICS, mean_scores, score_image
from vac_tf.models.saliency import build_saliency_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.divergence import check_finite
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.following.follower import opened_board
from vac_tf.training.kept_networks import Selection, keep_best
from vac_tf.training.method_check import check_saliency_method
from vac_tf.training.saliency.data import (
    SaliencyData,
    check_evaluation_split,
    prepare_saliency_data,
    read_usable_splits,
)
from vac_tf.training.saliency.trainer import SaliencyTrainer
from vac_tf.training.step.compiling import compile_trainer
from vac_tf.training.step.precision_check import check_precision
from vac_tf.training.validation import validate


def run_saliency(config: SaliencyConfig) -> dict:
    """Trains a saliency network into `config.run_dir`, or continues the run that lies there.

    Then evaluates the best network, with the baselines beside it, into
    `saliency_evaluation.json`.

    Returns:
        The contents of `saliency_evaluation.json`, see `vac_tf.evaluation.saliency`.

    Raises:
        ValueError: unusable settings, data or run folder.
        DivergenceError, TrainingInterrupted, OSError: as `vac_tf.training.epochs.loop.run_epochs`.
    """
    folder = RunFolder(config.run_dir)
    folder.check(config)
    check_saliency_method(config)
    check_precision(config.precision)
    keras.utils.set_random_seed(config.seed)

    # ---- Data, network: whatever can be refused is, before the folder is claimed
    splits = read_usable_splits(config)
    check_evaluation_split(config)
    network = build_network(config)
    with folder.claimed(config):
        # ---- Targets, trainer
        data = prepare_saliency_data(config, splits)
        trainer = build_saliency_trainer(config, network, data.training.steps_per_epoch)
        data.check_unchanged(folder)
        folder.write_json("saliency_data.json", data.description())

        # ---- Epochs
        steps = data.training.steps_per_epoch
        with opened_board(config, folder, trainer, steps) as board:
            run_epochs(
                TrainingRun(
                    config,
                    folder,
                    trainer,
                    data,
                    validate=lambda progress: _validate(
                        config, folder, trainer, data, progress, board
                    ),
                    describe=lambda logs: _in_words(config, logs),
                    board=board,
                )
            )

    # ---- Evaluation, from the files of the run
    return evaluate_saliency_run(
        folder,
        config,
        evaluation_split_name(config),
        human_observers=config.human_observers,
        batch_size=config.batch_size,
    )


def build_network(config: SaliencyConfig) -> keras.Model:
    """The network that a run starts with.

    Raises:
        ValueError: unknown backbone, or weights that are missing or do not fit.
    """
    return build_saliency_network(
        config.backbone,
        weights=config.backbone_weights,
        centre_prior=config.centre_prior,
        dropout=None if config.dropout < 0 else config.dropout,
        batch_norm_momentum=config.batch_norm_momentum,
        fused_batch_norm=config.fused_batch_norm,
        precision=config.precision,
    )


def build_saliency_trainer(
    config: SaliencyConfig, network: keras.Model, steps_per_epoch: int
) -> SaliencyTrainer:
    """The compiled trainer of a run, every variable of which exists."""
    trainer = SaliencyTrainer(
        network,
        parse_losses(config.losses),
        flip_seed=config.seed if config.augment == "hflip" else None,
        coupled_weight_decay=config.weight_decay if config.optimizer == "sgd" else 0.0,
    )
    compile_trainer(config, trainer, steps_per_epoch)
    return trainer


def _validate(config, folder, trainer, data, progress, board):
    """Scores the weights (and their average) on the validation part; keeps the best networks."""
    where = f"after epoch {progress['epoch'] + 1}"
    metric, summary = config.best_metric, {}
    with data.naming_bad_images():
        terms, raw_logits = validate(trainer, data.validation)
        logs = {f"validation_loss_{name}": value for name, value in terms.items() if name != "loss"}
        logs["validation_loss"] = terms["loss"]
        check_finite(logs, where)

        def score(kind):
            is_raw = kind == "raw"
            logits = raw_logits if is_raw else predict_logits(trainer.network, data.validation)
            check_finite({"validation_logits": logits}, where)
            densities = _densities(config, logits)
            scores = _grid_scores(densities, data)
            if is_raw:
                summary.update({f"validation_{name}": value for name, value in scores.items()})
            if board:
                with board.validation(kind, progress["epoch"] + 1):
                    _show(config, data, densities, {} if is_raw else scores)
            return _defined(scores[metric], metric)

        selection = Selection(f"validation_{metric}", score, data.selected_on, METRICS[metric])
        batches = data.training.epoch(progress["epoch"])
        kept = keep_best(config, folder, trainer, progress, selection, batches)
    return logs | kept | summary


def _defined(value, metric):
    if np.isnan(value):
        raise ValueError(
            f"best_metric {metric} is undefined on the validation images; use more of them"
            " (--validation_fraction) or another --best_metric."
        )
    return value


def _densities(config, logits) -> list[np.ndarray]:
    return [saliency_density(image, config.grid_size, config.grid_size) for image in logits]


def _grid_scores(densities, data: SaliencyData) -> dict[str, float]:
    """Means of the metrics over the validation images, on the grid of the targets."""
    targets = data.validation_targets
    total = targets[..., 1].sum(axis=0)
    rows = [
        score_image(density, target[..., 1], target[..., 0], total - target[..., 1])
        for density, target in zip(densities, targets, strict=True)
    ]
    scores = {name: values["mean"] for name, values in mean_scores(rows).items()}
    # A single image has no others to be compared with.
    return {name: float("nan") if value is None else value for name, value in scores.items()}


def _show(config, data: SaliencyData, densities, scores) -> None:
    """Image, truth and prediction of the same validation images, for TensorBoard.

    And the scores of averaged weights that the history, whose curves are there anyway, lacks.
    """
    for name, value in scores.items():
        if name != config.best_metric and np.isfinite(value):
            tf.summary.scalar(f"metrics/{name}", value)
    count = min(config.tensorboard_images, len(densities))
    for number, row in enumerate(np.linspace(0, len(densities) - 1, count).round().astype(int)):
        panel = saliency_panel(
            data.validation_source.resized(row).numpy(),
            data.validation_targets[row, ..., 0],
            densities[row],
        )
        tf.summary.image(f"image, truth, prediction/{number + 1:02d}", panel[None])


def _in_words(config, logs):
    value = logs[f"validation_{config.best_metric}"]
    return f"loss {logs['loss']:.4f}, validation {config.best_metric} {value:.4f}"
