"""The epochs of a run, whatever it trains: resume, stop on signals, save, select, log."""

import csv
import io
import logging
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from vac_tf.models.saving import save_network
from vac_tf.runs.folder import RunFolder, write_atomically
from vac_tf.training.callbacks import (
    RestoreMeans,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    StopRequest,
)
from vac_tf.training.resume import load_state, save_state
from vac_tf.training.schedules import build_optimizer, leave_undecayed
from vac_tf.training.weight_average import averaged_weights, keep_weights_apart

# The moving statistics of training remember about as many (momentum 0.99: 100 passes).
_STATISTICS_BATCHES = 64


def compile_trainer(config, trainer, steps_per_epoch: int) -> None:
    """Gives a trainer the optimizer of its run, with every variable made, ready to be restored."""
    optimizer = build_optimizer(config, steps_per_epoch)
    if config.optimizer == "adamw" and not config.decay_all_weights:
        leave_undecayed(optimizer, trainer.trainable_variables)
    optimizer.build(trainer.trainable_variables)
    if config.ema_decay:
        keep_weights_apart(optimizer)
    trainer.compile(optimizer=optimizer, jit_compile=False)


def run_epochs(
    config,
    folder: RunFolder,
    trainer,
    data,
    validate: Callable[[dict], dict],
    describe: Callable[[dict], str],
) -> dict:
    """Trains to the last epoch, from where an earlier process stopped.

    Args:
        config: has `epochs`, `early_stopping_epochs` and `checkpoint_seconds`.
        folder: the claimed folder of the run.
        trainer: compiled, every variable of which exists.
        data: has `training` (`TrainingBatches`) and `naming_bad_images()`.
        validate: called after every epoch with the progress; returns its log entries, and keeps
            the best networks (`keep_best`).
        describe: the log entries of an epoch in words.

    Returns:
        The progress: `epoch`, `best` (score per kind of weights), `winner`, `best_epoch`,
        `history`.

    Raises:
        NonFiniteLossError: naming the loss term and the step.
        TrainingInterrupted: after SIGINT or SIGTERM, at a point that can be resumed.
        OSError: the state could not be written; the previous one is whole.
        ValueError: the state in the folder is damaged or does not fit.
    """
    progress = {"epoch": 0, "step": 0, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
    try:
        progress = load_state(folder.state_file, trainer)
        logging.info("Continuing at epoch %d, step %d.", progress["epoch"] + 1, progress["step"])
    except FileNotFoundError:
        pass
    writer = tf.summary.create_file_writer(folder.file("tensorboard"))
    with StopRequest() as stop_request, writer.as_default():
        while progress["epoch"] < config.epochs and not _is_stale(config, progress):
            start = time.monotonic()
            logs = _train_epoch(config, folder, trainer, data, progress, stop_request)
            logs |= validate(progress)
            logs["seconds"] = round(time.monotonic() - start, 1)
            _record(config, folder, trainer, progress, logs, describe)
            stop_request.raise_if_any()
    return progress


def score_weights(
    config, trainer, name: str, score: Callable[[str], float], batches: tf.data.Dataset
) -> dict[str, float]:
    """Scores the weights and, where the run keeps one, their average.

    Args:
        config: has `ema_decay`.
        trainer: the weights are those of its network.
        name: of the log entry; that of the average is followed by `_ema`.
        score: called with "raw" and "ema".
        batches: training batches, the first of which give the average its batch statistics.
    """
    logs = {name: score("raw")}
    if config.ema_decay:
        with averaged_weights(trainer, batches.take(_STATISTICS_BATCHES)):
            logs[f"{name}_ema"] = score("ema")
    return logs


def keep_best(config, folder: RunFolder, network, progress: dict, kind: str, score: float) -> bool:
    """Saves the network if its score (higher is better) is the best so far, of all or its kind.

    Returns:
        Whether it is the best of all, and so the network of the run from now on.
    """
    best = progress["best"]
    is_best = score > max(best.values(), default=-float("inf"))
    if is_best:
        save_network(network, folder.network_file)
        progress["winner"], progress["best_epoch"] = kind, progress["epoch"] + 1
    if score > best.get(kind, -float("inf")):
        best[kind] = score
        if config.ema_decay:
            save_network(network, folder.file(f"network_{kind}.keras"))
    return is_best


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


def _record(config, folder, trainer, progress, logs, describe):
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
        "Epoch %d/%d: %s; %.0f s, %d:%02d left.",
        *(progress["epoch"], config.epochs, describe(logs), logs["seconds"]),
        *(left // 60, left % 60),
    )


def _is_stale(config, progress):
    waited = progress["epoch"] - progress["best_epoch"]
    return 0 < config.early_stopping_epochs <= waited
