"""Evaluation of a model on data, without a run folder."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vac_tf.datasets import Split
from vac_tf.decisions.objectives import parse_objective
from vac_tf.decisions.tuning import measure_rule
from vac_tf.evaluation.heatmap_consistency import (
    heatmap_strides,
    predict_and_compare,
    table2_transforms,
)
from vac_tf.geometry.resizing import resize_images
from vac_tf.inference.model import Model, load
from vac_tf.inputs.autotuning import without_autotuning
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.settings import known_labels, naming_bad_images
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models.named_outputs import with_named_outputs


def evaluate(
    model: Model | keras.Model | str | os.PathLike,
    data: Split | Iterable,
    *,
    threshold: float = 0.5,
    average_precision: str = "step",
    unknown_labels: str | None = None,
    inconsistency: bool = True,
    batch_size: int = 64,
) -> dict[str, Any]:
    """The metrics of evaluate.py, of a model on any data; nothing is written.

    Args:
        model: Of `vac_tf.load` or `vac_tf.Model`, the folder of a run, or a Keras network (see
            `with_named_outputs`).
        data: A `Split`; or batches of (images, labels), as of a `tf.data.Dataset` or a list of
            NumPy pairs: RGB in 0..255 `[B, H, W, 3]`, resized where they have not the model's size,
            and labels `[B, L]` of 0, 1 or NaN (unknown).
        threshold: A label is predicted when its own probability is above this.
        average_precision: `step`, `voc12` or `voc07`.
        unknown_labels: `ignore`, `negative` or `release`; default: as the model says.
        inconsistency: Whether to measure how far heatmaps follow the image.
        batch_size: Images per step, of a `Split`.

    Returns:
        Plain values: those of `vac_tf.metrics.evaluate_multilabel`; `inconsistency`, per
        transform `raw` (VAC paper, Equation 5) and `relative`; and, of a model with thresholds of
        its own, `tuned_thresholds`: what they gain over `threshold` here.

    Raises:
        ValueError: other labels than the model's, no data or data without end, or an image that
            cannot be read.
    """
    model = _as_model(model, data)
    size, kernel = model.settings.image_size, model.settings.resize_kernel
    transforms, stride = {}, 1
    if inconsistency:
        strides = heatmap_strides(model.network)
        transforms = table2_transforms(model.network, size, kernel, strides)
        stride = min(strides)
    labels = []
    with _batches(model, data, batch_size) as batches:
        kept = _keeping_labels(batches, labels)
        logits, measured = predict_and_compare(model.network, kept, transforms, stride)
    labels = np.concatenate(labels)
    unknown = unknown_labels or model.unknown_labels
    results = evaluate_logits(
        labels,
        logits,
        model.label_names,
        threshold=threshold,
        unknown=unknown,
        average_precision=average_precision,
        label_groups=model.label_groups,
    )
    if inconsistency:
        results["inconsistency"] = measured
        specs = {name: transform.spec for name, transform in transforms.items()}
        results["conventions"]["inconsistency"] = specs
    if model.rule:
        known = known_labels(labels, unknown)
        results["tuned_thresholds"] = _of_rule(model.rule, known, logits, threshold)
    return results


def _as_model(model, data) -> Model:
    if isinstance(data, (str, os.PathLike)):
        raise ValueError(
            f"The data are {data!r}. Expected a Split, as vac_tf.read_split gives, or batches of"
            " (images, labels)."
        )
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return load(model)
    network, size = with_named_outputs(model), None
    names = map(str, range(network.output["logits"].shape[-1]))
    if isinstance(data, tf.data.Dataset):
        shapes = [getattr(spec, "shape", ()) for spec in tf.nest.flatten(data.element_spec)]
        size = network.inputs[0].shape[1] or (shapes[0][1] if len(shapes[0]) == 4 else None)
    return Model(network, data.label_names if isinstance(data, Split) else names, size)


def _of_rule(rule, labels, logits, threshold):
    objective = rule.tuning.get("objective")
    return {
        "objective": objective,
        "fixed_threshold": threshold,
        **measure_rule(
            labels,
            logits,
            rule.calibration,
            rule.thresholds,
            parse_objective(objective) if objective else None,
            threshold,
        ),
    }


@contextlib.contextmanager
def _batches(model: Model, data, batch_size) -> Iterator[Iterable]:
    if not isinstance(data, Split):
        yield _checked(model, data)
        return
    split = data.with_labels(model.label_names)
    source = ImageSource(split, model.settings)
    with naming_bad_images(source):
        yield evaluation_batches(source, split.labels, batch_size)


def _checked(model: Model, data: Iterable) -> Iterator[tuple]:
    """Batches of float32 tensors, the images of the model's size."""
    if isinstance(data, tf.data.Dataset) and data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset has no end (repeat()). Expected one pass: take(steps) of it.")
    if isinstance(data, tf.data.Dataset):
        data = without_autotuning(data)
    num_labels, settings = len(model.label_names), model.settings
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(f"Got a batch of {_shapes(batch)}. Expected pairs (images, labels).")
        images, labels = (tf.cast(tf.convert_to_tensor(part), tf.float32) for part in batch)
        rows = (len(images), num_labels) if images.shape.rank == 4 else None
        if rows is None or images.shape[-1] != 3 or tuple(labels.shape) != rows:
            raise ValueError(
                f"Got images and labels of {_shapes(batch)}. Expected batches: images"
                f" [B, height, width, 3] in 0..255 and labels [B, {num_labels}]."
            )
        yield resize_images(images, settings.image_size, settings.resize_kernel), labels


def _shapes(batch) -> str:
    parts = batch if isinstance(batch, (tuple, list)) else [batch]
    return ", ".join(str(tuple(getattr(part, "shape", ()))) for part in parts)


def _keeping_labels(batches: Iterable, kept: list[np.ndarray]) -> Iterator[tuple]:
    """The batches as they come; their labels are appended to `kept`."""
    for images, labels in batches:
        kept.append(np.asarray(labels))
        yield images, labels
    if not kept:
        raise ValueError("The data hold no batch. Expected at least one image.")
