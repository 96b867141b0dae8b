"""Export of a network that is no run's: somebody's own, or one that was made in Python."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from export.building.config import NetworkExportConfig
from export.building.exporter import Original, describe_network, write_bundle
from export.building.gate.budget import parse_precisions
from export.building.report import ExportReport
from export.building.splits import given_splits
from vac_tf.datasets import Split, read_split
from vac_tf.inference.model import Model

_DRAWN_SIDE = 96


def export_network(
    network: keras.Model | Model,
    bundle_dir: str | os.PathLike,
    labels: Sequence[str] | None = None,
    *,
    images: Split | Sequence[str | os.PathLike] | None = None,
    image_size: int | None = None,
    **options: Any,
) -> ExportReport:
    """Exports any network of logits and heatmaps, through the same gate as a run.

    ONNX file and SavedModel are compared with the Keras network on images, and the bundle appears
    when they give the same.

    Args:
        network: Functional, images float32 RGB in 0..255 `[B, S, S, 3]` -> logits `[B, L]` and
            heatmaps `[B, h, w, L]`, as a dict of these names or a pair; or a `vac_tf.Model`, whose
            labels, preprocessing, thresholds, calibration and label groups go along.
        bundle_dir: Folder to write; an older bundle is replaced.
        labels: L names, in the order of the outputs; of a `Model` not needed.
        images: What it is compared on: a `Split` (with labels the other precisions are judged by
            mAP too), or image files. Default: drawn scenes, which prove the files equal but say
            nothing of FP16 and INT8 on photographs like yours.
        image_size: S, where the network takes images of any size.
        **options: Those of `ExportConfig`: `precisions`, `input_dtype`, `opset`, `tolerance`,
            `triton_repository` ...

    Returns:
        What was written, and how far it is from the Keras network.

    Raises:
        ValueError: another kind of network or number of labels, INT8 without images, and as
            `write_bundle`.
        TypeError: an unknown option.
    """
    model = _as_model(network, labels, image_size)
    config = NetworkExportConfig(bundle_dir=os.fspath(bundle_dir), **options)
    if images is None and "int8" in parse_precisions(config.precisions):
        raise ValueError(
            "int8 needs images, whose activations set its ranges. Give images=: photographs like"
            " those that the network is for."
        )
    # Only these two: a bundle has no place for others.
    outputs = {name: model.network.output[name] for name in ("logits", "heatmaps")}
    exported = keras.Model(model.network.inputs[0], outputs, name=model.network.name)
    description = describe_network(
        model.label_names,
        model.settings,
        model.rule,
        model.unknown_labels,
        config.input_dtype,
        model.label_groups,
    )

    with _split(images, model.label_names) as split:

        def read() -> Original:
            splits = given_splits(split, model.settings, config)
            if images is None:  # Drawn scenes are no reference of photographs.
                splits = dataclasses.replace(splits, reference=None)
            return Original(exported, description, model.settings, splits)

        return write_bundle(config, read)


def _as_model(network, labels, image_size) -> Model:
    if isinstance(network, Model):
        if labels is not None and tuple(labels) != network.label_names:
            raise ValueError(
                f"The model has the labels {list(network.label_names)}, got {list(labels)}. Leave"
                " labels out: a model brings its own."
            )
        return network
    if labels is None:
        raise ValueError("labels is needed: one name per logit of the network, in their order.")
    return Model(network, labels, image_size)


@contextlib.contextmanager
def _split(images, label_names) -> Iterator[Split]:
    if isinstance(images, Split):
        yield images.with_labels(label_names)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = images
        if images is None:
            options = {"image_size": _DRAWN_SIDE, "train_images": 32, "with_objects": False}
            paths = read_split("scenes", folder, "train", **options).image_paths
        paths = [os.fspath(path) for path in paths]
        if not paths:
            raise ValueError("No image is given. Expected some, or images=None for drawn scenes.")
        unknown = np.full((len(paths), len(label_names)), np.nan, np.float32)
        yield Split(tuple(paths), unknown, label_names)
