"""The epochs of a run, whatever it trains: resume, stop on signals, save, select, log."""

import contextlib
import logging
import time

from vac_tf.inputs.data_wait import advice
from vac_tf.runs.progress import has_stopped_early, is_finished
from vac_tf.training.callbacks import StopRequest
from vac_tf.training.divergence import check_finite, falling_back
from vac_tf.training.epochs.epoch import Epoch
from vac_tf.training.epochs.recording import record_epoch
from vac_tf.training.epochs.restoring import restore
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.following.follower import Follower
from vac_tf.training.kept_networks import check_networks
from vac_tf.training.resume import every_variable

_LOGGER = logging.getLogger(__name__)


def run_epochs(run: TrainingRun) -> dict:
    """Trains to the last epoch, from where an earlier process stopped.

    Returns:
        The progress: `epoch`, `best` (score per kind of weights), `winner`, `best_epoch`,
        `history`.

    Raises:
        DivergenceError: naming what is not finite or has exploded, and the last good state, which
            is that of the folder from then on.
        TrainingInterrupted: after SIGINT, SIGTERM or SIGHUP, at a point that can be resumed.
        OSError: the state could not be written; the previous one is whole.
        ValueError: no state in the folder is whole (`NoWholeStateError`), or the newest does not
            fit.
    """
    config, folder, distribution = run.config, run.folder, run.distribution
    progress = distribution.from_chief(lambda: restore(run))
    distribution.copy_from_chief(every_variable(run.trainer))
    if run.board:
        run.board.go_on_from(progress)
    if _is_finished(config, progress):
        _say_finished(config, folder, progress)
        return progress
    if run.callbacks:
        run.callbacks.go_on_from(progress.get("callbacks"))
    follower = Follower(config, run.board, run.is_chief)
    is_chief = run.is_chief
    guard = falling_back(config, folder, run.rate_flag) if is_chief else contextlib.nullcontext()
    with (
        distribution.prepared(run.trainer) as stop_request,
        follower.console.cleared_at_the_end(),
        guard,
    ):
        progress = _train(run, progress, stop_request, follower)
    if run.callbacks:
        run.callbacks.end()
    if run.is_chief:
        check_networks(folder, progress)
    return progress


def _train(run, progress, stop_request: StopRequest, follower: Follower):
    """Trains, validates and records epochs until the run is finished; returns the progress."""
    is_advised = False
    while not _is_finished(run.config, progress):
        start = time.monotonic()
        run.before_epoch(progress["epoch"])
        logs = Epoch(run, progress, stop_request, follower).train()
        logs, progress = run.distribution.from_chief(
            lambda logs=logs, progress=progress: (logs | run.validate(progress), progress)
        )
        check_finite(
            {"validation_loss": logs["validation_loss"]}, f"after epoch {progress['epoch'] + 1}"
        )
        logs["seconds"] = round(time.monotonic() - start, 1)
        row = _add_epoch(run.trainer, progress, logs)
        if run.callbacks:
            progress["is_stopped"] = run.callbacks.end_epoch(row)
            progress["callbacks"] = run.callbacks.states()
        if run.is_chief:
            record_epoch(run, progress, row, follower.console)
        is_advised = is_advised or _has_advised(run.config, logs)
        stop_request.raise_if_any()
    return progress


def _has_advised(config, logs):
    sentence = advice(config, logs.get("data_wait_share", 0.0))
    if sentence:
        _LOGGER.info("%s", sentence)
    return bool(sentence)


def _add_epoch(trainer, progress, logs):
    """Ends the epoch in the progress; returns its row of the history."""
    progress["epoch"] += 1
    progress["step"] = 0
    row = {"epoch": progress["epoch"], "steps": int(trainer.optimizer.iterations.numpy())}
    row["learning_rate"] = float(trainer.optimizer.learning_rate)
    row |= logs
    progress["history"].append(row)
    return row


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
