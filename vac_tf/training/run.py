"""A training run, from its config to its run folder."""

import contextlib
import logging
from collections.abc import Callable, Sequence

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.evaluation.seen_images import shared_images
from vac_tf.geometry.transforms import parse_transforms, parse_weights
from vac_tf.inputs.prediction import predict
from vac_tf.losses.label_groups import with_label_groups
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models import build_classifier
from vac_tf.models.backbones import strides_of
from vac_tf.runs.folder import RunFolder
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.custom.run_callbacks import RunCallbacks
from vac_tf.training.distillation.start import describe_teacher, start_distillation
from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.distributed.start import find_cluster, start_distribution
from vac_tf.training.divergence import check_finite
from vac_tf.training.dual_stream.given_runs import start_from_saliency
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.fine_tuning.backbone_rate import backbone_rate
from vac_tf.training.fine_tuning.frozen_backbone import freeze_backbone
from vac_tf.training.fine_tuning.start_from_run import start_from_run
from vac_tf.training.following.follower import opened_board
from vac_tf.training.following.validation_view import ValidationView
from vac_tf.training.kept_networks import Selection, keep_best
from vac_tf.training.method_check import begins_with, check_method
from vac_tf.training.run_data import RunData, read_run_data, read_usable_splits
from vac_tf.training.step.accumulation import check_parts
from vac_tf.training.step.classification_loss import classification_loss, loss_of_run
from vac_tf.training.step.compiling import compile_trainer
from vac_tf.training.step.precision_check import check_precision
from vac_tf.training.validation import check_selection, validate

_LOGGER = logging.getLogger(__name__)


def start_classifier(
    config: TrainConfig, label_names: tuple[str, ...], backbone: keras.Model | None = None
) -> keras.Model:
    """The network that a classifier's run starts with; with `backbone` on that model."""
    network = build_classifier(
        backbone or config.backbone,
        len(label_names),
        backbone.inputs[0].shape[1] if backbone else None,
        pooling=config.pooling,
        weights=config.backbone_weights,
        detach_heatmap_kernel=config.detach_heatmap_kernel,
        paired=config.loss == "multiple_cross_entropy",
        attention_weight=config.attention_weight,
        attention_temperature=config.attention_temperature,
        dropout=None if config.dropout < 0 else config.dropout,
        batch_norm_momentum=config.batch_norm_momentum,
        fused_batch_norm=config.fused_batch_norm,
        precision=config.precision,
        quantization_aware=config.quantization_aware,
    )
    if begins_with(config, config.saliency_run):
        start_from_saliency(network, config)
    if begins_with(config, config.init_run):
        start_from_run(network, config, label_names)
    return network


def run(
    config: TrainConfig,
    start_network: Callable[[TrainConfig, tuple[str, ...]], keras.Model] = start_classifier,
    rate_flag: str = "--learning_rate",
) -> dict:
    """Trains a network into `config.run_dir`, or continues the run that lies there.

    Args:
        config: Everything that decides the outcome.
        start_network: Called with the config and the label names; returns the network to train,
            with its initial weights: `images` -> `{"heatmaps", "logits"}`.
        rate_flag: What sets the learning rate, for the advice after a divergence.

    Returns:
        The account of the run: `best` (mAP per kind of weights), `winner`, `epochs`, `steps`.

    Raises:
        ValueError: unusable settings, data or run folder.
        DivergenceError, TrainingInterrupted, OSError: as `vac_tf.training.epochs.loop.run_epochs`.
        WorkerLostError: another worker is gone; the run can be continued.
    """
    folder = RunFolder(config.run_dir)
    cluster = find_cluster(config)
    if cluster is None or cluster.is_chief:
        folder.check(config)
    check_method(config)
    distribution = start_distribution(config, cluster)
    check_precision(config.precision)
    with distribution.naming_lost_workers():
        return _train(config, folder, distribution, start_network, rate_flag)


def prepare_run(
    config: TrainConfig,
    distribution: Distribution = ONE_DEVICE,
    start_network: Callable[[TrainConfig, tuple[str, ...]], keras.Model] = start_classifier,
) -> tuple[RunData, ConsistencyTrainer]:
    """The data of a run and its compiled trainer, as they are before the first step.

    Arguments as of `run`; no file is written, but for a cache of images.

    Raises:
        ValueError: unusable settings or data.
    """
    keras.utils.set_random_seed(config.seed)

    # ---- Data
    splits = read_usable_splits(config)
    check_selection(splits, config.unknown_labels)
    for sentence in shared_images(config, splits):
        _LOGGER.warning("%s", sentence)
    data = read_run_data(config, splits)
    distribution.check_batches(data.training)
    check_parts(config.accumulate_steps, data.training.smallest_batch)

    # ---- Network, trainer
    with distribution.scope():
        network = start_network(config, data.label_names)
    if config.synchronized_batch_norm:
        distribution.synchronize_batch_norm(network)
    return data, build_trainer(config, data, network, distribution)


def _train(config, folder, distribution, start_network, rate_flag):
    data, trainer = prepare_run(config, distribution, start_network)
    progress = train_network(config, folder, data, trainer, distribution, rate_flag)
    return {
        "best": progress["best"],
        "winner": progress["winner"],
        "selected_on": data.selected_on,
        "epochs": progress["epoch"],
        "steps": int(trainer.optimizer.iterations.numpy()),
    }


def train_network(
    config: TrainConfig,
    folder: RunFolder,
    data: RunData,
    trainer: ConsistencyTrainer,
    distribution: Distribution = ONE_DEVICE,
    rate_flag: str = "--learning_rate",
    callbacks: RunCallbacks | None = None,
) -> dict:
    """Trains a compiled trainer into the folder of its run, from where an earlier process stopped.

    Returns:
        The progress, see `run_epochs`.
    """
    is_chief, steps = distribution.is_chief, data.training.steps_per_epoch
    if is_chief:  # Before the folder takes what may differ, such as more epochs.
        data.check_unchanged(folder)
        if trainer.distillation:
            trainer.distillation.teacher.check_unchanged(folder)
    with (
        folder.claimed(config) if is_chief else contextlib.nullcontext(),
        opened_board(config, folder, trainer, steps, is_chief) as board,
    ):
        if is_chief:
            data.record(folder)
            if trainer.distillation:
                trainer.distillation.teacher.record(folder)
        shown = config.tensorboard_images, config.unknown_labels
        view = ValidationView(board, data, *shown) if board else None
        return run_epochs(
            TrainingRun(
                config,
                folder,
                trainer,
                data,
                validate=lambda progress: _validate(config, folder, trainer, data, progress, view),
                describe=_in_words,
                rate_flag=rate_flag,
                distribution=distribution,
                before_epoch=lambda epoch: freeze_or_release(config, trainer, epoch),
                callbacks=callbacks,
                board=board,
            )
        )


def build_trainer(
    config: TrainConfig,
    data: RunData,
    network,
    distribution: Distribution = ONE_DEVICE,
    loss: str | Callable | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    metrics: Sequence[keras.metrics.Metric] = (),
) -> ConsistencyTrainer:
    """The compiled trainer of a run, every variable of which exists.

    Args:
        config: of the run.
        data: of the run.
        network: of the run.
        distribution: the devices that it was made for.
        loss, optimizer: in place of those that the config names.
        metrics: see `ConsistencyTrainer`.

    Raises:
        ValueError: a teacher that is not there, or does not fit.
    """
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    with distribution.scope():
        distillation = start_distillation(config, data.label_names, data.label_groups)
    if distillation:
        _LOGGER.info("%s", describe_teacher(config, distillation))
    trainer = ConsistencyTrainer(
        network,
        data.positive_ratio,
        transforms,
        Consistency(
            parse_weights(config.consistency_weight, transforms),
            config.pairs,
            config.consistency_level,
            config.consistency_form,
            config.consistency_target,
            ramp_steps=config.consistency_ramp * data.training.steps_per_epoch,
            drawing_seed=config.seed if config.sampled_transform else None,
        ),
        loss=_with_groups(config, data, loss or loss_of_run(config)),
        stride=min(strides_of(config.backbones, network)),
        coupled_weight_decay=config.weight_decay if config.optimizer == "sgd" else 0.0,
        distillation=distillation,
    )
    trainer.label_groups = data.label_groups
    steps = data.training.steps_per_epoch
    rate = backbone_rate(config, network, steps)
    compile_trainer(config, trainer, steps, distribution, rate, optimizer, metrics)
    return trainer


def _with_groups(config, data, loss):
    if not data.label_groups:
        return loss
    of_others = classification_loss(loss) if isinstance(loss, str) else loss
    smoothing = config.label_smoothing
    return with_label_groups(of_others, data.label_groups, len(data.label_names), smoothing)


def freeze_or_release(config: TrainConfig, trainer: ConsistencyTrainer, epoch: int) -> None:
    """What `--frozen_epochs` asks for in an epoch, counted from 0."""
    # Without --frozen_epochs what is frozen stays so: the streams of phase 2.
    if config.frozen_epochs:
        freeze_backbone(trainer, epoch < config.frozen_epochs)


def _validate(config, folder, trainer, data, progress, view):
    """Scores the weights (and their average) on the validation part; keeps the best networks."""
    where = f"after epoch {progress['epoch'] + 1}"
    with data.naming_bad_images():
        terms, logits = validate(trainer, data.validation_for_loss, data.validation_labels)
        logs = {f"validation_{name}": value for name, value in terms.items()}
        check_finite(logs, where)
        measured = trainer.metrics_of(data.validation_labels, logits)
        logs |= {f"validation_{name}": value for name, value in measured.items()}

        def score(kind):
            scored = logits if kind == "raw" else predict(trainer.network, data.validation)[1]
            evaluation = _evaluate(config, data, scored, where)
            if view:
                view.show(kind, progress["epoch"] + 1, trainer.network, scored, evaluation)
            return evaluation["label_based"]["mAP"]

        selection = Selection("validation_mAP", score, data.selected_on)
        batches = data.training.epoch(progress["epoch"])
        return logs | keep_best(config, folder, trainer, progress, selection, batches)


def _evaluate(config, data, logits, where):
    check_finite({"validation_scores": logits}, where)
    labels = data.validation_labels
    return evaluate_logits(
        labels,
        logits,
        data.label_names,
        unknown=config.unknown_labels,
        label_groups=data.label_groups,
    )


def _in_words(logs):
    return (
        f"loss {logs['loss']:.4f}, consistency {logs['consistency_loss']:.5f}, validation mAP"
        f" {logs['validation_mAP']:.4f}"
    )
