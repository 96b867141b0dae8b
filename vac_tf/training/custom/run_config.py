"""The config of a run whose parts were given in Python: what has no name there is `given`."""

import dataclasses
import difflib
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import GIVEN
from vac_tf.datasets.split import Split
from vac_tf.geometry.transforms import Transform, parse_transforms
from vac_tf.training.custom.given_data import image_size_of
from vac_tf.training.weight_average import weight_keeper

# What chooses the images of both parts, and so not of a `Split`, which has them.
_OF_IMAGES = ("dataset", "data_dir", "train_split", "validation_split", "validation_fraction")
_OF_IMAGES += ("max_images", "train_images", "group_column", "group_file", "folds", "fold")
_OF_IMAGES += ("paper_protocol",)
# Of images that are read from files, and so not of batches.
_OF_FILES = (*_OF_IMAGES, "skip_bad_images", "cache", "cache_dir", "batch_size")
_OF_FILES += ("cache_content", "augment", "augment_mode", "augment_layers", "scaled_view")
_OF_FILES += ("drop_remainder", "round_inputs")
# Of a run of one classifier on one device.
_NOT_HERE = {"model": "classifier", "strategy": "none", "synchronized_batch_norm": False}
_NOT_HERE |= {"check_data": False}


def config_of(network, data, run_dir, transforms, loss, optimizer, settings) -> TrainConfig:
    """The config of `vac_tf.train` with these arguments.

    Raises:
        ValueError: naming the setting that is unknown or does not fit.
    """
    _check_names(settings)
    values = dict(settings, run_dir=run_dir, transforms=_text(transforms, settings))
    values["backbone"] = network if isinstance(network, str) else GIVEN
    if not isinstance(network, str) and not getattr(network, "inputs", None):
        raise ValueError(
            f"network must be a functional Keras model or the name of a backbone: {network!r}."
        )
    if loss is not None:
        values["loss"] = loss if isinstance(loss, str) else GIVEN
    if optimizer is not None:
        values |= _of_optimizer(optimizer, settings)
    if isinstance(data, Split):
        _refuse(_OF_IMAGES, settings, "chooses images, and data is a Split: choose them there")
        values |= {"dataset": "jsonl", "data_dir": os.path.join(os.path.abspath(run_dir), "splits")}
    elif isinstance(data, tf.data.Dataset) or callable(data):
        values |= _of_batches(data, settings)
    elif data is not None or "dataset" not in settings:
        raise ValueError(
            "data must be a Split, a tf.data.Dataset of batches or a function from the epoch to"
            f" one, or left out beside the settings dataset and data_dir; got {data!r}."
        )
    config = TrainConfig(**values)
    if config.fold < 0:  # One fold is one network.
        config.refuse_other_jobs("vac_tf.train", "trains")
    return config


def _check_names(settings):
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            advice = f" Did you mean {close[0]}?" if close else " train.py --help lists them."
            raise ValueError(f"Unknown setting {name!r}.{advice}")
    for name, only in _NOT_HERE.items():
        if settings.get(name, only) != only:
            raise ValueError(f"{name}={settings[name]!r} is for train.py; here it is {only!r}.")


def _refuse(names, settings, reason):
    for name in names:
        if name in settings:
            raise ValueError(f"{name} {reason}.")


def _text(transforms: Sequence[str | Transform], settings: dict[str, Any]) -> str:
    if isinstance(transforms, (str, Transform)):
        raise ValueError(f"transforms must be a list, such as ['hflip'], got {transforms!r}.")
    kernel = settings.get("resize_kernel", "bilinear")
    text = ",".join(each if isinstance(each, str) else each.spec for each in transforms)
    for given, named in zip(transforms, parse_transforms(text, kernel), strict=True):
        if not isinstance(given, str) and given != named:
            raise ValueError(
                f"{given!r} is not what {given.spec!r} names, which is {named!r}: register a class"
                " of your own with vac_tf.register_transform, and give resize_kernel as a setting."
            )
    return text


def _of_optimizer(optimizer, settings):
    if isinstance(optimizer, str):
        return {"optimizer": optimizer}
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"optimizer must be one of Keras, 'sgd' or 'adamw', got {optimizer!r}.")
    own = ("learning_rate", "momentum", "weight_decay", "schedule", "warmup_epochs", "ema_decay")
    own += ("nesterov", "gradient_clip_norm", "backbone_learning_rate_scale")
    given = [name for name in own if name in settings]
    if given:
        raise ValueError(f"{given[0]} is a setting of 'sgd' and 'adamw': give it to the optimizer.")
    inner = weight_keeper(optimizer)
    values = {"optimizer": GIVEN, "ema_decay": inner.ema_momentum if inner.use_ema else 0.0}
    rate = inner.get_config()["learning_rate"]
    return values | ({"learning_rate": float(rate)} if isinstance(rate, (int, float)) else {})


def _of_batches(data, settings):
    reason = "is a setting of images in files, and data is a tf.data.Dataset: see to it there"
    _refuse(_OF_FILES, settings, reason)
    size = image_size_of(data)
    if settings.get("image_size", size) != size:
        raise ValueError(f"image_size is {settings['image_size']}, but the batches have {size}.")
    return {"dataset": GIVEN, "image_size": size}
