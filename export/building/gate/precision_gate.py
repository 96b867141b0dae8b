"""Judges an exported precision on validation images, against the Keras network and a budget."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from export.building.gate.budget import Budget
from export.building.gate.divergence import first_divergence
from export.building.gate.drift import measure_drift, over_budget
from export.building.gate.images import check_pixels, pipeline_images, scorer_images
from export.building.gate.parity_check import reference_outputs
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription
from export.images.preprocessing import to_input_dtype
from export.scoring.runtime.processor import describe_processor
from export.scoring.runtime.session import NetworkSession
from vac_tf.datasets import Split
from vac_tf.inputs.image_source import ImageSettings

_BATCH = 32
_IMAGES_TO_COMPARE_LAYERS = 4
# Relative error that the format makes in a single layer, as a floor for the search of a layer.
_FORMAT_ERROR = {"fp32": 1e-6, "fp16": 1e-3, "int8": 2e-2}


@dataclasses.dataclass(frozen=True)
class GateSet:
    """What every precision is judged on.

    Attributes:
        images: `[N, H, W, 3]` as the scorer hands them to the network.
        reference: Outputs of the Keras network for the same images by the training pipeline.
        labels: `[N, L]`, values 0, 1 or NaN (unknown).
    """

    images: np.ndarray
    reference: Mapping[str, np.ndarray]
    labels: np.ndarray


def load_gate_set(
    split: Split, settings: ImageSettings, description: ModelDescription, network: InferenceNetwork
) -> GateSet:
    """Loads all images of `split`, and runs the Keras network on them.

    Raises:
        ValueError: for an image that cannot be read; InputValueError when scorer and training
            pipeline differ on the images, which is no fault of any precision.
    """
    preprocessing = description.preprocessing
    dtype = preprocessing.input_dtype
    images, references = [], []
    for start in range(0, len(split), _BATCH):
        rows = split.select(range(start, min(start + _BATCH, len(split))))
        scorer, pipeline = scorer_images(rows, preprocessing), pipeline_images(rows, settings)
        check_pixels(scorer, pipeline, rows, settings, preprocessing)
        images.append(to_input_dtype(scorer, dtype))
        references.append(reference_outputs(network, to_input_dtype(pipeline, dtype)))
    return GateSet(np.concatenate(images), _joined(references), split.labels)


def judge(path: str, gate_set: GateSet, budget: Budget, original: onnx.ModelProto) -> dict:
    """The verdict on an exported file.

    Args:
        path: The file; its description says labels, thresholds and precision.
        gate_set: The images.
        budget: What is allowed.
        original: The float32 graph that the file was made of.

    Returns:
        Plain values, as `bundle.json` holds them: `accepted`, `failures` (sentences),
        `diverging_layer` (a sentence, or None when accepted), `budget`, the `processor` on which
        it was given, and the figures of `measure_drift`.
    """
    session = NetworkSession(path, "cpu")
    description = session.description
    outputs = run_session(session, gate_set.images, tuple(gate_set.reference))
    figures = measure_drift(
        gate_set.reference,
        outputs,
        gate_set.labels,
        description.label_names,
        np.array(description.thresholds, np.float32),
        description.unknown_labels,
        budget.ties,
        description.label_groups,
    )
    failures = over_budget(figures, budget)
    verdict: dict[str, Any] = {
        "accepted": not failures,
        "failures": failures,
        "diverging_layer": None,
        "budget": dataclasses.asdict(budget),
        "processor": describe_processor(session.provider),
        **figures,
    }
    if failures:
        worst = _most_different(gate_set.reference, outputs)
        layer = first_divergence(
            original, onnx.load(path), gate_set.images[worst], _FORMAT_ERROR[description.precision]
        )
        verdict["diverging_layer"] = str(layer) if layer else None
    return verdict


def run_session(
    session: NetworkSession, images: np.ndarray, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The named outputs of a file for all images `[N, H, W, 3]`, computed in batches."""
    parts = [
        session.run(images[start : start + _BATCH], names)
        for start in range(0, len(images), _BATCH)
    ]
    return _joined(parts)


def _joined(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _most_different(reference, outputs):
    """Rows whose logits differ most; what is not finite differs most of all."""
    differences = np.abs(reference["logits"] - outputs["logits"]).max(axis=1)
    return np.argsort(-np.nan_to_num(differences, nan=np.inf))[:_IMAGES_TO_COMPARE_LAYERS]
