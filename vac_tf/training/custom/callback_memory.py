"""What callbacks remember from epoch to epoch, so that a continued run goes on with it.

Keras saves no state of its callbacks; the attributes named here are those that
`keras.callbacks` of 3.15 reads again in the next epoch.
"""

from collections.abc import Sequence
from typing import Any

import keras

_REMEMBERED = {
    keras.callbacks.EarlyStopping: ("best", "wait", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def states_of(callbacks: Sequence[keras.callbacks.Callback]) -> list[list]:
    """The name of each callback's class, and what it remembers, as JSON holds it.

    A callback with the methods `get_state()` and `set_state(state)` says itself what that is.
    """
    return [[type(callback).__name__, _state(callback)] for callback in callbacks]


def remember(callbacks: Sequence[keras.callbacks.Callback], states: list[list]) -> list[str]:
    """Gives callbacks what those in their places remembered, after their `on_train_begin`.

    Args:
        callbacks: of the run that goes on.
        states: of `states_of`.

    Returns:
        The classes of callbacks that remember something and begin anew: in their places were
        callbacks of other classes.
    """
    anew = []
    for number, callback in enumerate(callbacks):
        name, state = states[number] if number < len(states) else ("", {})
        if name == type(callback).__name__:
            _set_state(callback, state)
        elif _state(callback):
            anew.append(type(callback).__name__)
    return anew


def _state(callback) -> Any:
    if _speaks_for_itself(callback):
        return callback.get_state()
    return {name: _plain(getattr(callback, name)) for name in _names(callback)}


def _set_state(callback, state):
    if _speaks_for_itself(callback):
        callback.set_state(state)
        return
    for name in _names(callback):
        setattr(callback, name, state[name])


def _speaks_for_itself(callback):
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _names(callback):
    return next((names for kind, names in _REMEMBERED.items() if isinstance(callback, kind)), ())


def _plain(value):
    return value if value is None or isinstance(value, int) else float(value)
