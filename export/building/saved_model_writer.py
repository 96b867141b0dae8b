"""The network as a TensorFlow SavedModel with three signatures."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription


def write_saved_model(
    folder: str, network: InferenceNetwork, description: ModelDescription
) -> tuple[str, ...]:
    """Writes `serving_default`, `serve_heatmaps` and `serve_bytes`, and the description.

    The description lies in `assets.extra/model.json`, the folder that TensorFlow leaves to users.
    `serve_bytes` is left out for a run that turned images as their EXIF says: TensorFlow has no
    operation that reads it, and unturned images would get other scores than in training.

    Returns:
        Names of the signatures written.
    """
    endpoints = {
        "serving_default": (network.classify, network.images_signature),
        "serve_heatmaps": (network.predict, network.images_signature),
    }
    if not description.preprocessing.apply_exif_orientation:
        endpoints["serve_bytes"] = (network.classify_bytes, network.bytes_signature)
    # Not keras.export.ExportArchive: its files hold every weight twice.
    module = tf.Module()
    module.weights = [variable.value for variable in network.network.variables]
    signatures = {
        name: tf.function(function, input_signature=[signature])
        for name, (function, signature) in endpoints.items()
    }
    with _without_notes():
        tf.saved_model.save(module, folder, signatures=signatures)
    _clear_random_identity(os.path.join(folder, "fingerprint.pb"))
    extra = os.path.join(folder, "assets.extra")
    os.makedirs(extra)
    with open(os.path.join(extra, "model.json"), "w", encoding="utf-8") as file:
        json.dump(description.to_json(), file, indent=1)
    return tuple(endpoints)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Leaves out what TensorFlow tells of how it saves, to a folder that is renamed soon.

    It comes where messages for debugging are wanted (--verbosity=1).
    """
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    if loggers[0].isEnabledFor(logging.DEBUG):
        yield
        return

    def is_no_note(record: logging.LogRecord) -> bool:  # Not a level: TensorFlow sets it again.
        return record.levelno > logging.INFO

    for logger in loggers:
        logger.addFilter(is_no_note)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_no_note)


def _clear_random_identity(path: str) -> None:
    """Removes the random number of each save, so that the same network gives the same bytes."""
    with open(path, "rb") as file:
        fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read())
    fingerprint.ClearField("uuid")
    with open(path, "wb") as file:
        file.write(fingerprint.SerializeToString(deterministic=True))
