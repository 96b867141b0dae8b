"""A training run, from its config to its run folder."""

import csv
import io
import logging
import sys
import time

import keras
import tensorflow as tf

from vac_tf.config import TrainConfig
from vac_tf.metrics import evaluate_multilabel
from vac_tf.models import build_classifier
from vac_tf.models.backbones import get_backbone
from vac_tf.models.saving import save_network
from vac_tf.prediction import predict
from vac_tf.run_folder import RunFolder, write_atomically
from vac_tf.training.callbacks import (
    RestoreMeans,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    StopRequest,
)
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.method_check import check_method
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.run_data import RunData, read_run_data
from vac_tf.training.schedules import build_optimizer
from vac_tf.training.weight_average import averaged_weights, keep_weights_apart
from vac_tf.transforms import parse_transforms, parse_weights


def run(config: TrainConfig) -> dict:
    """Trains a classifier into `config.run_dir`, or continues the run that lies there.

    Returns:
        The account of the run: `best` (mAP per kind of weights), `winner`, `epochs`, `steps`.

    Raises:
        ValueError: unusable settings, data or run folder.
        NonFiniteLossError: naming the loss term and the step.
        TrainingInterrupted: after SIGINT or SIGTERM, at a point that can be resumed.
        OSError: the state could not be written; the previous one is whole.
    """
    folder = RunFolder(config.run_dir)
    folder.check(config)
    check_method(config)
    keras.utils.set_random_seed(config.seed)

    # ---- Data
    data = read_run_data(config)

    # ---- Network, trainer
    trainer = build_trainer(config, data)

    # ---- Run folder, state of an earlier process
    folder.claim(config)
    data.check_unchanged(folder)
    folder.write_json("labels.json", data.labels_description())
    progress = {"epoch": 0, "step": 0, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
    try:
        progress = load_state(folder.state_file, trainer)
        logging.info("Continuing at epoch %d, step %d.", progress["epoch"] + 1, progress["step"])
    except FileNotFoundError:
        pass

    # ---- Epochs
    writer = tf.summary.create_file_writer(folder.file("tensorboard"))
    with StopRequest() as stop_request, writer.as_default():
        while progress["epoch"] < config.epochs and not _is_stale(config, progress):
            start = time.monotonic()
            logs = _train_epoch(config, folder, trainer, data, progress, stop_request)
            logs |= _validate(config, folder, trainer, data, progress)
            logs["seconds"] = round(time.monotonic() - start, 1)
            _record(config, folder, trainer, progress, logs)
            stop_request.raise_if_any()

    return {
        "best": progress["best"],
        "winner": progress["winner"],
        "selected_on": data.selected_on,
        "epochs": progress["epoch"],
        "steps": int(trainer.optimizer.iterations),
    }


def build_trainer(config: TrainConfig, data: RunData) -> ConsistencyTrainer:
    """The compiled trainer of a run, every variable of which exists."""
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    backbone = get_backbone(config.backbone)
    network = build_classifier(
        config.backbone,
        len(data.label_names),
        pooling=config.pooling,
        weights=config.backbone_weights,
        detach_heatmap_kernel=config.detach_heatmap_kernel,
        dropout=None if config.dropout < 0 else config.dropout,
        batch_norm_momentum=config.batch_norm_momentum,
        fused_batch_norm=config.fused_batch_norm,
        precision=config.precision,
    )
    trainer = ConsistencyTrainer(
        network,
        data.positive_ratio,
        transforms,
        parse_weights(config.consistency_weight, transforms),
        pairs=config.pairs,
        level=config.consistency_level,
        loss=config.loss,
        stride=backbone.stride,
        coupled_weight_decay=config.weight_decay if config.optimizer == "sgd" else 0.0,
    )
    optimizer = build_optimizer(config, data.training.steps_per_epoch)
    optimizer.build(trainer.trainable_variables)
    if config.ema_decay:
        keep_weights_apart(optimizer)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def _train_epoch(config, folder, trainer, data, progress, stop_request):
    """The rest of the current epoch; returns its mean loss terms."""
    start_step = progress["step"]
    steps = data.training.steps_per_epoch
    first_step = progress["epoch"] * steps + start_step

    def save(step):
        save_state(folder.state_file, trainer, progress | {"step": step})

    callbacks = [
        StopOnNonFiniteLoss(first_step),
        SaveInEpoch(save, stop_request, start_step, config.checkpoint_seconds),
    ]
    if start_step:
        callbacks.append(RestoreMeans(trainer))
    if start_step < steps:
        with data.naming_bad_images():
            history = trainer.fit(
                data.training.epoch(progress["epoch"], start_step),
                initial_epoch=progress["epoch"],
                epochs=progress["epoch"] + 1,
                callbacks=callbacks,
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 0,
            ).history
        terms = {name: values[-1] for name, values in history.items()}
    else:
        terms = {name: float(value) for name, value in trainer.get_metrics_result().items()}
    progress["step"] = steps
    save(steps)
    return terms


def _validate(config, folder, trainer, data, progress):
    """Scores the weights (and their average) on the validation part; keeps the best networks."""
    with data.naming_bad_images():
        terms = trainer.evaluate(data.validation_for_loss, return_dict=True, verbose=0)
        logs = {f"validation_{name}": value for name, value in terms.items()}
        logs["validation_mAP"] = _score(config, folder, trainer, data, progress, "raw")
        if config.ema_decay:
            with averaged_weights(trainer):
                logs["validation_mAP_ema"] = _score(config, folder, trainer, data, progress, "ema")
    return logs


def _score(config, folder, trainer, data, progress, kind):
    labels, scores = predict(trainer.network, data.validation)
    evaluation = evaluate_multilabel(
        labels, scores, data.label_names, unknown=config.unknown_labels
    )
    score = evaluation["label_based"]["mAP"]
    if score is None:
        raise ValueError(
            "No label has a positive in the validation part, so no network can be selected on it."
            " Use a larger --validation_fraction or another --validation_split."
        )
    best = progress["best"]
    if score > max(best.values(), default=-1.0):
        save_network(trainer.network, folder.network_file)
        progress["winner"], progress["best_epoch"] = kind, progress["epoch"] + 1
        selected = {"weights": kind, "epoch": progress["epoch"] + 1, "validation_mAP": score}
        folder.write_json("selection.json", selected | {"selected_on": data.selected_on})
    if score > best.get(kind, -1.0):
        best[kind] = score
        if config.ema_decay:
            save_network(trainer.network, folder.file(f"network_{kind}.keras"))
    return score


def _record(config, folder, trainer, progress, logs):
    """Ends the epoch: the state first, then the logs that are made from it."""
    progress["epoch"] += 1
    progress["step"] = 0
    row = {"epoch": progress["epoch"], "steps": int(trainer.optimizer.iterations)}
    row["learning_rate"] = float(trainer.optimizer.learning_rate)
    row |= logs
    progress["history"].append(row)
    save_state(folder.state_file, trainer, progress)
    text = io.StringIO()
    table = csv.DictWriter(text, list(row))
    table.writeheader()
    table.writerows(progress["history"])
    write_atomically(folder.file("log.csv"), text.getvalue().encode())
    for name, value in row.items():
        tf.summary.scalar(name, value, step=row["steps"])
    tf.summary.flush()
    seconds = [entry["seconds"] for entry in progress["history"]]
    left = (config.epochs - progress["epoch"]) * sum(seconds) / len(seconds)
    logging.info(
        "Epoch %d/%d: loss %.4f, consistency %.5f, validation mAP %.4f; %.0f s, %d:%02d left.",
        *(progress["epoch"], config.epochs, logs["loss"], logs["consistency_loss"]),
        *(logs["validation_mAP"], logs["seconds"], left // 60, left % 60),
    )


def _is_stale(config, progress):
    waited = progress["epoch"] - progress["best_epoch"]
    return 0 < config.early_stopping_epochs <= waited
