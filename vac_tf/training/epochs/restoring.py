"""Where a run goes on from: the newest of its states that is whole."""

import logging
import os

from vac_tf.runs.progress import is_finished
from vac_tf.runs.states import newest_whole_state, put_aside
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.kept_networks import check_networks, forget_replaced_networks
from vac_tf.training.resume import load_state

_LOGGER = logging.getLogger(__name__)
# Settings that a run may go on with changed, see `RunFolder.check`.
_CHANGEABLE = ("epochs", "early_stopping_epochs", "learning_rate", "gradient_clip_norm")


def restore(run: TrainingRun) -> dict:
    """The progress of an earlier process, whose variables the trainer gets, or that of a start.

    Raises:
        NoWholeStateError: every state is damaged.
        ValueError: the state is that of another network, or a network is lost.
    """
    config, folder = run.config, run.folder
    state = newest_whole_state(folder.state_file)
    if state is None:
        progress = {"epoch": 0, "step": 0, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
        return progress | {"settings": _settings(config)}
    progress = load_state(state.path, run.trainer)
    _say_damaged(state)
    put_aside(state.damaged)
    if progress.get("settings", {}).get("epochs") != config.epochs:
        progress["is_stopped"] = False  # Asked to go on.
    # The networks may be newer than an earlier state, as after a divergence.
    is_earlier = state.path != folder.state_file or os.path.exists(folder.divergence_file)
    is_pending = progress["step"] > 0 or is_earlier
    check_networks(folder, progress, is_pending)
    if is_earlier:
        forget_replaced_networks(folder, progress)
    if not is_finished(progress, config.epochs, config.early_stopping_epochs):
        _LOGGER.info("Continuing at epoch %d, step %d.", progress["epoch"] + 1, progress["step"])
        _say_changes(config, run.trainer, progress)
    return progress | {"settings": _settings(config)}


def _say_damaged(state):
    for file, reason in state.damaged.items():
        _LOGGER.warning("%s cannot be used: %s.", file, reason)
    if state.damaged:
        _LOGGER.warning(
            "The run goes on from %s, epoch %d, step %d; damaged states are renamed (.damaged).",
            *(state.path, state.progress["epoch"] + 1, state.progress["step"]),
        )


def _say_changes(config, trainer, progress):
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
