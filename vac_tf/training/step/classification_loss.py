"""The classification loss of a run, by its name."""

import inspect
from collections.abc import Callable
from functools import partial

import keras

from vac_tf import losses
from vac_tf.configs.fields import given_settings
from vac_tf.configs.registration import add_name
from vac_tf.configs.training.loss import SETTINGS_OF_A_LOSS, LossSettings

_ARGUMENTS = ("labels", "logits", "positive_ratio", "mask")


def _unweighted(loss):
    """A loss that needs no proportion of positives."""

    def loss_of(labels, logits, positive_ratio, mask, **settings):
        del positive_ratio
        return loss(labels, logits, mask, **settings)

    return loss_of


def _focal(labels, logits, mask, focal_focusing=2.0, focal_balance=0.25):
    return losses.focal_loss(labels, logits, mask, focal_focusing, focal_balance or None)


# Name -> loss `[B]` of labels, logits, the proportion of positives and the mask of known labels;
# keyword arguments are the settings of the same name.
LOSSES = {
    "weighted_sigmoid_cross_entropy": losses.weighted_sigmoid_cross_entropy,
    "sigmoid_cross_entropy": _unweighted(losses.sigmoid_cross_entropy),
    # The logits are the differences of the pairs.
    "multiple_cross_entropy": _unweighted(losses.sigmoid_cross_entropy),
    "asymmetric": _unweighted(losses.asymmetric_loss),
    "focal": _unweighted(_focal),
}


def register_loss(name: str, loss: Callable, *, replace: bool = False) -> None:
    """Makes a classification loss known by a name, for `--loss` and for trainers.

    Args:
        name: new.
        loss: `(labels, logits, mask)` or `(labels, logits, positive_ratio, mask)` -> `[B]`, one
            value per example: labels `[B, L]` in [0, 1] or NaN, logits `[B, L]`, the proportion of
            positives `[L]` and mask `[B, L]` of the labels that are known.
        replace: Use this one where the name is taken.

    Raises:
        ValueError: the name is taken, or the loss takes other arguments.
    """
    add_name(LOSSES, "loss", name, as_classification_loss(loss, repr(name)), replace)
    SETTINGS_OF_A_LOSS[name] = ()


def as_classification_loss(loss: Callable, name: str = "") -> Callable:
    """A loss as trainers take it, of what `register_loss` or Keras takes.

    Args:
        loss: see `register_loss`; or a `keras.losses.Loss` of logits, which knows no unknown label.
        name: for the error.

    Raises:
        ValueError: it takes other arguments, or probabilities.
    """
    name = name or getattr(loss, "__name__", type(loss).__name__)
    if isinstance(loss, keras.losses.Loss):
        if not getattr(loss, "from_logits", True):
            raise ValueError(f"Loss {name} is given logits: make it with from_logits=True.")
        return lambda labels, logits, positive_ratio, mask: loss.call(labels, logits)
    names = tuple(inspect.signature(loss).parameters)
    if names[:4] == _ARGUMENTS:
        return loss
    if names[:3] == (*_ARGUMENTS[:2], _ARGUMENTS[3]):
        return _unweighted(loss)
    raise ValueError(
        f"Loss {name} takes {names}; expected (labels, logits, mask) or"
        " (labels, logits, positive_ratio, mask)."
    )


def classification_loss(name: str, label_smoothing: float = 0.0, **settings) -> Callable:
    """The loss `[B]` of labels `[B, L]`, logits `[B, L]`, ratio `[L]` and mask `[B, L]`.

    Args:
        name: of `LOSSES`.
        label_smoothing: see `vac_tf.losses.smooth_labels`.
        settings: of that loss.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in LOSSES:
        raise ValueError(f"Unknown loss {name!r}. Expected one of: {', '.join(LOSSES)}.")
    return smoothed(partial(LOSSES[name], **settings), label_smoothing)


def smoothed(loss: Callable, label_smoothing: float) -> Callable:
    """The loss of labels that are drawn towards 1/2; see `vac_tf.losses.smooth_labels`."""
    if not label_smoothing:
        return loss

    def loss_of_smooth_labels(labels, *arguments):
        return loss(losses.smooth_labels(labels, label_smoothing), *arguments)

    return loss_of_smooth_labels


def loss_of_run(config: LossSettings) -> Callable:
    """The classification loss that a run's settings ask for."""
    settings = {name: getattr(config, name) for name in SETTINGS_OF_A_LOSS[config.loss]}
    return classification_loss(config.loss, config.label_smoothing, **settings)


def check_loss(config: LossSettings) -> None:
    """Raises ValueError for a setting of another loss than the run's, which would do nothing."""
    for owner, names in SETTINGS_OF_A_LOSS.items():
        given = given_settings(config, names)
        if given and owner != config.loss:
            raise ValueError(
                f"{given[0]} {getattr(config, given[0])} is a setting of loss {owner!r}, got loss"
                f" {config.loss!r}: add --loss={owner}, or leave --{given[0]} out."
            )
