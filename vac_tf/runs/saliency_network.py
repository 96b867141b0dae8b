"""The network of a saliency run, read for a run that builds on it."""

import dataclasses
from typing import Any

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder


def read_saliency_network(run_dir: str, config: TrainConfig) -> keras.Model:
    """The best network of a saliency run, for the images of a classifier's run.

    Raises:
        ValueError: no saliency run there, or one of another image size.
    """
    read_saliency_config(dataclasses.replace(config, saliency_run=run_dir))
    return load_network(RunFolder(run_dir).network_file)


def read_saliency_config(config: TrainConfig) -> SaliencyConfig:
    """The config of `config.saliency_run`; ValueError for one of another image size."""
    saliency = RunFolder(config.saliency_run).read_config(SaliencyConfig)
    check_equal("saliency_run", config.saliency_run, saliency, config, "image_size")
    return saliency


def check_equal(name: str, path: str, theirs: Any, ours: Any, *settings: str) -> None:
    """Raises ValueError for the first of `settings` that differs between two configs.

    Args:
        name: Setting that gave the other run.
        path: Its folder.
        theirs: Its config.
        ours: The config of the run that is to build on it.
        *settings: Names of fields that must be equal.
    """
    for setting in settings:
        their_value, our_value = getattr(theirs, setting), getattr(ours, setting)
        if their_value != our_value:
            raise ValueError(
                f"{name} {path!r} has {setting} {their_value!r}, but {our_value!r} is needed here;"
                f" give a run with {our_value!r}, or train with --{setting}={their_value}."
            )
