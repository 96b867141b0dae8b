"""The epochs of a run, whatever it trains: resume, stop on signals, save, select, log."""

import contextlib
import csv
import io
import logging
import os
import time
from collections.abc import Callable

from vac_tf.inputs.data_wait import DataWait, advice
from vac_tf.runs.folder import RunFolder, write_atomically
from vac_tf.runs.progress import has_stopped_early, is_finished
from vac_tf.training.callbacks import (
    RestoreMeans,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    TraceSteps,
)
from vac_tf.training.custom.run_callbacks import RunCallbacks
from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.divergence import (
    check_finite,
    check_loss,
    check_weights,
    falling_back,
    keep_as_good,
)
from vac_tf.training.following.board import Board
from vac_tf.training.following.follower import Follower
from vac_tf.training.following.progress import clock
from vac_tf.training.kept_networks import check_networks, keep_epoch_network
from vac_tf.training.resume import every_variable, load_state, save_state
from vac_tf.training.step.compiled_trainer import naming_jit_compile

_LOGGER = logging.getLogger(__name__)
# Settings that a run may go on with changed, see `RunFolder.check`.
_CHANGEABLE = ("epochs", "early_stopping_epochs", "learning_rate", "gradient_clip_norm")


def run_epochs(
    config,
    folder: RunFolder,
    trainer,
    data,
    validate: Callable[[dict], dict],
    describe: Callable[[dict], str],
    rate_flag: str = "--learning_rate",
    distribution: Distribution = ONE_DEVICE,
    before_epoch: Callable[[int], None] = lambda epoch: None,
    callbacks: RunCallbacks | None = None,
    board: Board | None = None,
) -> dict:
    """Trains to the last epoch, from where an earlier process stopped.

    Args:
        config: has `epochs`, `early_stopping_epochs` and `checkpoint_seconds`.
        folder: the claimed folder of the run.
        trainer: compiled, every variable of which exists.
        data: has `training` (`TrainingBatches`) and `naming_bad_images()`.
        validate: called after every epoch with the progress; returns its log entries, and keeps
            the best networks (`vac_tf.training.kept_networks.keep_best`).
        describe: the log entries of an epoch in words.
        rate_flag: what sets the learning rate, for the advice after a divergence.
        distribution: the devices, in whose scope the network and the optimizer were made.
        before_epoch: called with the number of every epoch, from 0, that begins or goes on.
        callbacks: of the caller; one of them may end the run after an epoch.
        board: gets the curves; None: there are none.

    Returns:
        The progress: `epoch`, `best` (score per kind of weights), `winner`, `best_epoch`,
        `history`.

    Raises:
        DivergenceError: naming what is not finite or has exploded, and the last good state, which
            is that of the folder from then on.
        TrainingInterrupted: after SIGINT, SIGTERM or SIGHUP, at a point that can be resumed.
        OSError: the state could not be written; the previous one is whole.
        ValueError: the state in the folder is damaged or does not fit.
    """
    progress = distribution.from_chief(lambda: _restore(config, folder, trainer))
    distribution.copy_from_chief(every_variable(trainer))
    if board:
        board.go_on_from(progress)
    if _is_finished(config, progress):
        _say_finished(config, folder, progress)
        return progress
    if callbacks:
        callbacks.go_on_from(progress.get("callbacks"))
    is_chief, is_advised = distribution.is_chief, False
    follower = Follower(config, board, is_chief)
    guard = falling_back(config, folder, rate_flag) if is_chief else contextlib.nullcontext()
    with (
        distribution.prepared(trainer) as stop_request,
        follower.console.cleared_at_the_end(),
        guard,
    ):
        while not _is_finished(config, progress):
            start = time.monotonic()
            before_epoch(progress["epoch"])
            logs = _train_epoch(
                *(config, folder, trainer, data, progress, stop_request, distribution),
                *(callbacks, follower),
            )
            logs, progress = distribution.from_chief(
                lambda logs=logs, progress=progress: (logs | validate(progress), progress)
            )
            check_finite(
                {"validation_loss": logs["validation_loss"]}, f"after epoch {progress['epoch'] + 1}"
            )
            logs["seconds"] = round(time.monotonic() - start, 1)
            row = _add_epoch(trainer, progress, logs)
            if callbacks:
                progress["is_stopped"] = callbacks.end_epoch(row)
                progress["callbacks"] = callbacks.states()
            if is_chief:
                _record(config, folder, trainer, progress, row, follower, describe(row))
            is_advised = is_advised or _has_advised(config, logs)
            stop_request.raise_if_any()
    if callbacks:
        callbacks.end()
    if is_chief:
        check_networks(folder, progress)
    return progress


def _has_advised(config, logs):
    sentence = advice(config, logs.get("data_wait_share", 0.0))
    if sentence:
        _LOGGER.info("%s", sentence)
    return bool(sentence)


def _restore(config, folder, trainer):
    """The progress of an earlier process, whose variables the trainer gets, or that of a start."""
    try:
        progress = load_state(folder.state_file, trainer)
    except FileNotFoundError:
        progress = {"epoch": 0, "step": 0, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
        return progress | {"settings": _settings(config)}
    if progress.get("settings", {}).get("epochs") != config.epochs:
        progress["is_stopped"] = False  # Asked to go on.
    # After a divergence the state is older than the networks may be.
    is_pending = progress["step"] > 0 or os.path.exists(folder.divergence_file)
    check_networks(folder, progress, is_pending)
    if not _is_finished(config, progress):
        _LOGGER.info("Continuing at epoch %d, step %d.", progress["epoch"] + 1, progress["step"])
        _state_changes(config, trainer, progress)
    return progress | {"settings": _settings(config)}


def _state_changes(config, trainer, progress):
    """Says what the learning rate does from here on, where a setting has changed."""
    before, now = progress.get("settings", {}), _settings(config)
    changed = [name for name in before if before[name] != now.get(name)]
    if not changed:
        return
    rates = [row["learning_rate"] for row in progress["history"]]
    _LOGGER.info(
        "%s: the %s schedule runs over %d epochs now, and the learning rate goes on at %g%s.",
        ", ".join(f"{name} {now[name]:g} instead of {before[name]:g}" for name in changed),
        *(config.schedule, config.epochs, float(trainer.optimizer.learning_rate)),
        f"; it ended at {rates[-1]:g}" if rates else "",
    )


def _settings(config):
    return {name: getattr(config, name) for name in _CHANGEABLE}


def _train_epoch(
    config,
    folder,
    trainer,
    data,
    progress,
    stop_request,
    distribution,
    callbacks_of_caller,
    follower,
):
    """The rest of the current epoch; returns its mean loss terms and its pace."""
    start_step = progress["step"]
    steps = data.training.steps_per_epoch
    first_step = progress["epoch"] * steps + start_step

    def save(step):
        step = min(step, steps)  # Keras counts the last steps_per_execution in full.
        check_weights(trainer, progress["epoch"] * steps + step)
        if not distribution.is_chief:
            return
        save_state(folder.state_file, trainer, progress | {"step": step})

    data_wait = DataWait()
    batches = distribution.epoch(data.training, progress["epoch"], start_step)
    callbacks = [
        StopOnNonFiniteLoss(first_step, progress, config.steps_per_execution),
        SaveInEpoch(save, stop_request, start_step, config.checkpoint_seconds),
    ]
    if not distribution.strategy:  # Which loads ahead of the steps, on threads of its own.
        batches["x"] = data_wait.timed(batches["x"])
        callbacks.insert(1, data_wait)
    if start_step:
        callbacks.append(RestoreMeans(trainer))
    if config.profile_steps and not TraceSteps.is_traced(folder.file("tensorboard")):
        callbacks.append(TraceSteps(folder.file("tensorboard"), config.profile_steps))
    measured = None if distribution.strategy else data_wait
    pace, followers = follower.callbacks(trainer, progress, steps, measured)
    callbacks += followers
    if callbacks_of_caller:
        callbacks.append(callbacks_of_caller)
    if start_step < steps:
        with data.naming_bad_images(), naming_jit_compile(config.jit_compile):
            history = trainer.fit(
                **batches,
                initial_epoch=progress["epoch"],
                epochs=progress["epoch"] + 1,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            ).history
        terms = {name: values[-1] for name, values in history.items()}
    else:
        terms = {name: float(value) for name, value in trainer.get_metrics_result().items()}
    check_loss(terms["loss"], _first_loss(progress), progress["epoch"] + 1)
    save(steps)
    progress["step"] = steps
    return dict(sorted(terms.items())) | data_wait.logs() | pace.logs()


def _first_loss(progress):
    """Loss of the first step; NaN, with which nothing compares, of runs that did not note it."""
    return progress.get("first_loss", float("nan"))


def _add_epoch(trainer, progress, logs):
    """Ends the epoch in the progress; returns its row of the history."""
    progress["epoch"] += 1
    progress["step"] = 0
    row = {"epoch": progress["epoch"], "steps": int(trainer.optimizer.iterations.numpy())}
    row["learning_rate"] = float(trainer.optimizer.learning_rate)
    row |= logs
    progress["history"].append(row)
    return row


def _record(config, folder, trainer, progress, row, follower, in_words):
    """Writes the end of an epoch: the state first, then the logs that are made from it.

    The epoch's network comes before the state, so that of no finished epoch it is missing.
    """
    if config.keep_epoch_networks:
        keep_epoch_network(folder, trainer.network, progress["epoch"])
    save_state(folder.state_file, trainer, progress)
    keep_as_good(folder)
    text = io.StringIO()
    table = csv.DictWriter(
        text, dict.fromkeys(name for each in progress["history"] for name in each)
    )
    table.writeheader()
    table.writerows(progress["history"])
    write_atomically(folder.file("log.csv"), text.getvalue().encode())
    if follower.board:
        follower.board.end_epoch(row)
    seconds = [entry["seconds"] for entry in progress["history"]]
    left = (config.epochs - progress["epoch"]) * sum(seconds) / len(seconds)
    speed = f", {row['images_per_second']:.1f} images/s" if "images_per_second" in row else ""
    wait = f", {row['data_wait_share']:.0%} data wait" if "data_wait_share" in row else ""
    follower.console.say(
        f"Epoch {progress['epoch']}/{config.epochs}: {in_words}; {row['seconds']:.0f} s"
        f"{speed}{wait}, {clock(left)} left."
    )


def _is_finished(config, progress):
    return is_finished(progress, config.epochs, config.early_stopping_epochs)


def _say_finished(config, folder, progress):
    if progress.get("is_stopped"):
        end, larger = "was ended by a callback", "number of epochs"
    elif has_stopped_early(progress, config.early_stopping_epochs):
        end, larger = "has stopped early", "--early_stopping_epochs (0: never)"
    else:
        end, larger = "is finished", "--epochs"
    _LOGGER.info(
        "%s %s: %d of %d epochs, the best network is that of epoch %d. A larger %s goes on from"
        " here.",
        *(folder.path, end, progress["epoch"], config.epochs, progress["best_epoch"], larger),
    )
