"""A network that begins with the weights of another run, whose labels may be others."""

import logging
from collections.abc import Sequence

import keras
import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.models.cam_head import HEAD_LAYER, CAMHead, pair_difference
from vac_tf.models.classifier import without_head
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_LOGGER = logging.getLogger(__name__)
_SHOWN = 8  # labels or weights that a message names


def check_init_run(config: TrainConfig) -> None:
    """Checks that `config.init_run` can start the network of a run, before data is read.

    Raises:
        ValueError: no run there, one of another backbone or of no classifier, or other weights
            that are to start the network, too.
    """
    others = {"backbone_weights": config.backbone_weights, "saliency_run": config.saliency_run}
    given = [f"{name} {value!r}" for name, value in others.items() if value not in ("none", "")]
    if given:
        raise ValueError(
            f"{given[0]} and init_run {config.init_run!r} both start the network; give one of them."
        )
    if config.model != "classifier":
        raise ValueError(
            f"init_run {config.init_run!r} starts a classifier, got model {config.model!r}: a dual"
            " stream starts from --trunk_run and --branch_run."
        )
    theirs = RunFolder(config.init_run).read_config()
    if theirs.backbone != config.backbone:
        raise ValueError(
            f"init_run {config.init_run!r} has backbone {theirs.backbone!r}, this run"
            f" {config.backbone!r}: give --backbone={theirs.backbone} or another run."
        )


def start_from_run(network: keras.Model, config: TrainConfig, label_names: Sequence[str]) -> None:
    """Copies the weights of `config.init_run` into a classifier, those of the head by label name.

    What stands before the head is copied whole, batch statistics included; a label that the other
    run has by the same name gets its kernel and bias, the others keep what was drawn. Logs which.

    Args:
        network: of `vac_tf.models.build_classifier`.
        config: of the new run.
        label_names: L, in the order of the network's outputs.

    Raises:
        ValueError: the other network has other weights, listed, or is no classifier.
    """
    folder = RunFolder(config.init_run)
    other, their_names = load_network(folder.network_file), folder.read_label_names()
    heads = [each.get_layer(HEAD_LAYER) for each in (other, network)]
    if not all(isinstance(head, CAMHead) for head in heads):
        raise ValueError(
            f"init_run {config.init_run!r} is a dual stream's: it has no head of one stream."
        )
    _copy_features(*(without_head(each) for each in (other, network)), config.init_run)
    matched = [name for name in label_names if name in their_names]
    if matched:
        places = [[names.index(n) for n in matched] for names in (their_names, list(label_names))]
        heads[1].set_weights(_carried_over(*heads, *places))
    _LOGGER.info("%s", _in_words(config.init_run, label_names, their_names, matched))


def _copy_features(theirs, ours, name):
    pairs = zip(theirs.weights, ours.weights, strict=False)
    misfits = [
        f"{mine.path} {tuple(other.shape)} there, {tuple(mine.shape)} here"
        for other, mine in pairs
        if tuple(other.shape) != tuple(mine.shape)
    ]
    if misfits or len(theirs.weights) != len(ours.weights):
        raise ValueError(
            f"init_run {name!r} has a network of {len(theirs.weights)} weights before its head,"
            f" this run one of {len(ours.weights)}: {'; '.join(misfits[:_SHOWN]) or 'all alike'}."
            " Expected the same backbone."
        )
    ours.set_weights(theirs.get_weights())


def _carried_over(theirs, ours, their_places, our_places) -> list[np.ndarray]:
    """Kernel and bias of `ours`, with the columns of the labels that both have from `theirs`."""
    values = []
    for given, own in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        if theirs.paired:  # A pair counts by its difference, (negative, positive).
            given = pair_difference(given)
        columns = given[..., their_places]
        own = own.copy()
        if ours.paired:
            own[..., our_places, :] = np.stack([-columns / 2, columns / 2], axis=-1)
        else:
            own[..., our_places] = columns
        values.append(own)
    return values


def _in_words(run, label_names, their_names, matched) -> str:
    new = [name for name in label_names if name not in matched]
    left = [name for name in their_names if name not in matched]
    parts = [
        f"{len(names)} {what}{f' ({_listed(names)})' if names else ''}"
        for names, what in (
            (matched, f"of {len(label_names)} labels carried over"),
            (new, "drawn anew"),
            (left, "of the other run left out"),
        )
    ]
    return f"Starting from {run}: {', '.join(parts)}."


def _listed(names) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
